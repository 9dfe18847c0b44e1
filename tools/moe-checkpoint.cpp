// moe-checkpoint: list, show, verify and compare checkpoints.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/format.h"
#include "checkpoint/inspect.h"
#include "checkpoint/resume.h"

namespace {

using moe::format;
using namespace moe::checkpoint;
using Json = nlohmann::ordered_json;

constexpr int kDifferent = 1;

struct Arguments {
  std::string first;
  std::string second;
  bool json = false;
  bool verify = false;
  bool config = false;
};

void print(const std::string& text) {
  std::cout << text << '\n';
}
void print(const Json& json) {
  print(json.dump(2));
}

std::shared_ptr<Checkpoint> open_quickly(const std::string& path) {
  OpenOptions options;
  options.verify = false;
  return open_path(path, options);
}

int list(const Arguments& arguments) {
  const auto steps = list_checkpoints(arguments.first, arguments.verify);
  Json all = Json::array();
  if (!arguments.json) {
    print(format("{:>10}  {:>12}  {:>7}  {:>5}  {:>14}  {}", "step", "size", "tensors", "ranks",
                 "tokens", "state"));
  }
  for (const ListedStep& step : steps) {
    const std::string state = !step.fault.empty() ? step.fault
                              : arguments.verify  ? "verified"
                                                  : "complete";
    all.push_back({{"step", step.step},
                   {"path", step.path.string()},
                   {"bytes", step.bytes},
                   {"tensors", step.tensors},
                   {"ranks", step.ranks},
                   {"consumed_tokens", step.consumed_tokens},
                   {"fault", step.fault}});
    if (!arguments.json) {
      print(format("{:>10}  {:>12}  {:>7}  {:>5}  {:>14}  {}", step.step,
                   moe::human_bytes(double(step.bytes)), step.tensors, step.ranks,
                   moe::with_thousands(step.consumed_tokens), state));
    }
  }
  if (arguments.json) print(all);
  return 0;
}

Json tensor_json(const TensorRecord& tensor) {
  Json shape = Json::array();
  for (const std::int64_t size : tensor.info.shape.dims()) shape.push_back(size);
  return {{"shape", shape},
          {"dtype", to_string(tensor.info.dtype)},
          {"attributes", tensor.info.attributes},
          {"digest", format("{:016x}", tensor.digest)},
          {"pieces", tensor.pieces.size()}};
}

Json show_json(const Checkpoint& checkpoint) {
  const Header& header = checkpoint.header();
  Json states = Json::object();
  for (const auto& [name, text] : header.states) states[name] = Json::parse(text);
  Json tensors = Json::object();
  for (const auto& [name, tensor] : checkpoint.manifest().tensors) {
    tensors[name] = tensor_json(tensor);
  }
  return {{"path", checkpoint.path().string()},
          {"step", header.step},
          {"consumed_samples", header.consumed_samples},
          {"consumed_tokens", header.consumed_tokens},
          {"world", header.world},
          {"versions", header.versions},
          {"config", header.config},
          {"model", Json::parse(header.model)},
          {"states", states},
          {"tensors", tensors}};
}

template <class Value>
std::string joined(const std::map<std::string, Value>& values) {
  std::string text;
  for (const auto& [key, value] : values)
    text += format("{}{} {}", text.empty() ? "" : ", ", key, value);
  return text;
}

void show_text(const Checkpoint& checkpoint) {
  const Header& header = checkpoint.header();
  print(checkpoint.path().string());
  print(format("  step      {}", moe::with_thousands(header.step)));
  print(format("  consumed  {} samples, {} tokens", moe::with_thousands(header.consumed_samples),
               moe::with_thousands(header.consumed_tokens)));
  print(format("  world     {}", joined(header.world)));
  print(format("  versions  {}", joined(header.versions)));
  print(format("  model     {}", header.model));
  for (const auto& [name, text] : header.states) print(format("  state     {} = {}", name, text));
  for (const FileRecord& file : checkpoint.manifest().attachments) {
    print(format("  attached  {} ({})", file.name, moe::human_bytes(double(file.bytes))));
  }
  for (const auto& [name, tensor] : checkpoint.manifest().tensors) {
    print(format("  {:<60} {:>5} {:<20} {:016x} {}", name, to_string(tensor.info.dtype),
                 to_string(tensor.info.shape), tensor.digest, joined(tensor.info.attributes)));
  }
}

int show(const Arguments& arguments) {
  const auto checkpoint = open_quickly(arguments.first);
  if (arguments.config) {
    print(checkpoint->header().config);
  } else if (arguments.json) {
    print(show_json(*checkpoint));
  } else {
    show_text(*checkpoint);
  }
  return 0;
}

int verify(const Arguments& arguments) {
  const auto checkpoint = open_path(arguments.first);
  verify_contents(*checkpoint);
  const std::size_t tensors = checkpoint->names().size();
  if (arguments.json) {
    print(Json{{"path", checkpoint->path().string()}, {"valid", true}, {"tensors", tensors}});
  } else {
    print(format("{}: valid: {} files, {} tensors, every byte compared",
                 checkpoint->path().string(), checkpoint->manifest().files.size(), tensors));
  }
  return 0;
}

int compare(const Arguments& arguments) {
  const auto a = open_path(arguments.first);
  const auto b = open_path(arguments.second);
  const auto headers = compare_headers(a->header(), b->header());
  const auto tensors = compare_tensors(*a, *b);
  Json list = Json::array();
  for (const TensorDifference& tensor : tensors) {
    list.push_back({{"name", tensor.name},
                    {"reason", tensor.reason},
                    {"elements", tensor.elements},
                    {"largest", tensor.largest}});
    if (!arguments.json) {
      print(format("{}: {}{}", tensor.name, tensor.reason,
                   tensor.elements == 0 ? ""
                                        : format(": {} elements differ, by at most {:.6g}",
                                                 tensor.elements, tensor.largest)));
    }
  }
  if (arguments.json) {
    print(Json{{"header", headers}, {"tensors", list}});
  } else {
    for (const std::string& name : headers) print("header: " + name + " differs");
    print(format("{} of {} tensors differ", tensors.size(), a->names().size()));
  }
  return tensors.empty() ? 0 : kDifferent;
}

void add_command(CLI::App& app, const char* name, const char* help, Arguments& arguments) {
  CLI::App* command = app.add_subcommand(name, help);
  command->add_flag("--json", arguments.json, "print JSON");
  const bool two = std::string(name) == "compare";
  command->add_option(two ? "a" : "path", arguments.first, "a step, checkpoints or run folder")
      ->required();
  if (two) command->add_option("b", arguments.second, "the other one")->required();
  if (std::string(name) == "list") {
    command->add_flag("--verify", arguments.verify, "read every byte and compare digests");
  }
  if (std::string(name) == "show") {
    command->add_flag("--config", arguments.config, "print the run's config only");
  }
}

int dispatch(const CLI::App& app, const Arguments& arguments) {
  const std::string name = app.get_subcommands().front()->get_name();
  if (name == "list") return list(arguments);
  if (name == "show") return show(arguments);
  if (name == "verify") return verify(arguments);
  return compare(arguments);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "Looks at checkpoints. Exit codes: 0 good (compare: equal), 1 compare: tensors differ, "
      "64 usage, 66 damaged or absent."};
  app.set_version_flag("--version", "moe-checkpoint " MOE_VERSION);
  app.require_subcommand(1);
  Arguments arguments;
  add_command(app, "list", "the steps of a run", arguments);
  add_command(app, "show", "step, config, states and tensors", arguments);
  add_command(app, "verify", "read every byte and compare all digests", arguments);
  add_command(app, "compare", "tensors that differ, whatever the layouts", arguments);
  try {
    app.parse(argc, argv);
    return dispatch(app, arguments);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : moe::ConfigError("").exit_code();
  } catch (const moe::Error& error) {
    std::cerr << "moe-checkpoint: " << error.what() << '\n';
    return error.exit_code();
  } catch (const std::exception& error) {
    std::cerr << "moe-checkpoint: " << error.what() << '\n';
    return moe::InternalError("").exit_code();
  }
}
