// peer_logits MODEL TOKENS OUTPUT: the logits of a model, for scripts that compare them with another
// program's. TOKENS is a text of ids, OUTPUT receives f32 [tokens, vocabulary].
#include <fstream>
#include <iostream>
#include <sstream>

#include "base/error.h"
#include "device/context.h"
#include "interop/load_weights.h"
#include "run/machine.h"
#include "run/open_model.h"
#include "run/program.h"

namespace {

std::vector<std::int32_t> tokens_in(const std::string& file) {
  std::istringstream text(moe::read_file(file));
  std::vector<std::int32_t> tokens;
  for (std::int32_t token = 0; text >> token;) tokens.push_back(token);
  return tokens;
}

int write_logits(const std::string& path, const std::string& tokens_file, const std::string& output) {
  using namespace moe;
  DeviceContext context(run::choose_threads({}, 1), choose_cpu_isa());
  const ContextScope scope(context);
  const run::StoredModel stored = run::open_model(path);
  Model model(stored.model.config);
  model.allocate(DType::F32);
  interop::load_parameters(model, *stored.model.weights);
  const std::vector<std::int32_t> tokens = tokens_in(tokens_file);
  ModelInput input;
  input.token_T =
      Tensor::from(std::span(tokens), Shape{static_cast<std::int64_t>(tokens.size())});
  const Tensor logits = model.logits(input);
  std::ofstream file(output, std::ios::binary);
  file.write(logits.view().as<char>(), static_cast<std::streamsize>(logits.view().bytes()));
  return file.good() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: peer_logits MODEL TOKENS OUTPUT\n";
    return 64;
  }
  return moe::run::guarded([&] { return write_logits(argv[1], argv[2], argv[3]); });
}
