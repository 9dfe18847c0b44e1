#include "programs/programs.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "base/random.h"

namespace moe::testing {
namespace {

constexpr const char* kOutput = ".stdout";
constexpr const char* kErrors = ".stderr";
constexpr auto kPatience = std::chrono::seconds(120);

std::string slurp(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

void Workplace::write(const std::string& name, const std::string& text) const {
  std::ofstream(folder_ / name, std::ios::binary) << text;
}

std::string Workplace::read(const std::string& name) const { return slurp(folder_ / name); }

std::vector<nlohmann::ordered_json> Workplace::lines(const std::string& name) const {
  std::vector<nlohmann::ordered_json> all;
  std::istringstream text(read(name));
  for (std::string line; std::getline(text, line);) {
    all.push_back(nlohmann::ordered_json::parse(line));
  }
  return all;
}

std::string Workplace::shell_line(const std::string& command, int ranks) const {
  std::string line = ". " MOE_SOURCE_DIR "/launch/environment.sh; export OMP_NUM_THREADS=1 PATH=" MOE_BINARY_DIR
                     "/bin:$PATH; cd " + folder_.path().string() + "; exec ";
  // Open MPI leaks in plugins it unloads, which no suppression can name: runs of one rank look for leaks.
  if (ranks > 0) line += "env ASAN_OPTIONS=detect_leaks=0 mpirun -np " + std::to_string(ranks) + " ";
  return line + command;
}

pid_t Workplace::start(const std::string& command, int ranks) const {
  const std::string line = shell_line(command, ranks) + " >" + kOutput + " 2>" + kErrors + " </dev/null";
  const pid_t child = ::fork();
  if (child < 0) throw std::runtime_error("cannot fork");
  if (child == 0) {
    ::execl("/bin/bash", "bash", "-c", line.c_str(), static_cast<char*>(nullptr));
    ::_exit(127);
  }
  return child;
}

Outcome Workplace::collect(pid_t child) const {
  int status = 0;
  ::waitpid(child, &status, 0);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), read(kOutput), read(kErrors)};
}

Outcome Workplace::run(const std::string& command, int ranks) const {
  return collect(start(command, ranks));
}

Outcome Workplace::run_and_stop(const std::string& command, const std::string& file,
                                int lines) const {
  const pid_t child = start(command, 0);
  const auto give_up = std::chrono::steady_clock::now() + kPatience;
  siginfo_t ended{};
  while (count(read(file), "\n") < lines && std::chrono::steady_clock::now() < give_up) {
    ::waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOHANG | WNOWAIT);
    if (ended.si_pid != 0) break;
    std::this_thread::yield();
  }
  ::kill(child, SIGTERM);
  return collect(child);
}

void Workplace::prepare_data() const {
  for (const auto& [name, bytes] : {std::pair{"train", 200000}, std::pair{"held_out", 6000}}) {
    const std::string text = std::string(name) + ".txt";
    write(text, make_text(name, static_cast<std::size_t>(bytes)));
    const Outcome made =
        run("moe-data prepare --input " + text + " --tokenizer bytes --output " + name);
    ASSERT_EQ(made.code, 0) << made.all();
  }
}

std::string make_text(const std::string& name, std::size_t bytes) {
  const Random random(11, "vocabulary");
  std::vector<std::string> words;
  for (std::uint64_t w = 0; w < 400; ++w) {
    std::string word;
    const std::uint64_t syllables = 1 + random.below(3, 10 * w);
    for (std::uint64_t s = 1; s <= syllables; ++s) {
      word += "bcdfglmnprst"[random.below(12, 10 * w + 2 * s)];
      word += "aeiou"[random.below(5, 10 * w + 2 * s + 1)];
    }
    words.push_back(word);
  }
  const Random order(11, name);
  std::string text;
  for (std::uint64_t i = 0; text.size() < bytes; ++i) {
    text += words[order.below(words.size(), i)];
    text += i % 11 == 10 ? ".\n" : " ";
  }
  return text;
}

std::string small_config(int steps) {
  return R"(name: small
output: runs
seed: 3
model:
  vocab_size: 260
  hidden_size: 32
  num_hidden_layers: 2
  num_attention_heads: 4
  num_key_value_heads: 2
  intermediate_size: 48
  max_position_embeddings: 64
  num_experts: 4
  num_experts_per_tok: 2
  moe_intermediate_size: 48
  balance_loss: global
data:
  source: tokens
  train: [train]
  validation: [held_out]
training:
  steps: )" +
         std::to_string(steps) + R"(
  sequence_length: 32
  micro_batch_size: 2
  global_batch_size: 4
optimizer:
  name: adamw
  learning_rate: 0.003
schedule:
  name: constant
  warmup_steps: 2
checkpoint:
  interval: 0
logging:
  tensorboard: true
)";
}

std::string with(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  if (at == std::string::npos) throw std::invalid_argument("'" + from + "' is not in the text");
  return text.replace(at, from.size(), to);
}

int count(const std::string& text, const std::string& part) {
  int found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) {
    ++found;
  }
  return found;
}

}  // namespace moe::testing
