/// Hugging Face folders that no program should take, made by hand: a small good model and what is wrong
/// with it.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace moe::testing {

using Json = nlohmann::ordered_json;

/// A tensor as a safetensors header has it, and its bytes.
struct HandmadeTensor {
  std::string name;
  std::string dtype = "F32";
  std::vector<std::int64_t> shape;
  std::string data;
};

/// A tensor of ones. @shape dtype F32
HandmadeTensor ones(const std::string& name, const std::vector<std::int64_t>& shape);

/// The bytes of a safetensors file: any header, any data.
std::string safetensors_bytes(const std::string& header, const std::string& data);
/// A right one.
std::string safetensors_of(const std::vector<HandmadeTensor>& tensors);
/// The header of a right one, to be changed.
Json header_of(const std::vector<HandmadeTensor>& tensors);
std::string data_of(const std::vector<HandmadeTensor>& tensors);

/// A model folder before it is written.
struct HandmadeModel {
  Json config;
  std::vector<HandmadeTensor> tensors;
  std::map<std::string, std::string> files;  ///< written last, over what config and tensors give
  std::map<std::string, std::string> links;  ///< name -> target; "OUTSIDE/x" lies beside the folder
  std::vector<std::string> pipes;
  std::vector<std::string> folders;
  std::vector<std::string> removed;

  HandmadeTensor& tensor(const std::string& name);
  void remove(const std::string& name);
  /// Spreads the tensors over two shards with an index.
  void use_shards();
  /// The header of model.safetensors changed, its data kept.
  void change_header(const std::function<void(Json&)>& change);
  void write(const std::filesystem::path& folder) const;
};

/// One layer, width 8, as LlamaForCausalLM.
HandmadeModel tiny_llama();
/// The same with 2 experts, as MixtralForCausalLM.
HandmadeModel tiny_mixtral();

struct BadDirectory {
  std::string name;
  std::function<HandmadeModel()> make;
  std::vector<std::string> expected;  ///< parts of the message, "NAME" in place of the folder's
};

const std::vector<BadDirectory>& bad_directories();

}  // namespace moe::testing
