// What stays of fuzzing in the suite: replays a corpus and a fixed number of seeded mutations of it.
//
//   <target> CORPUS [MUTATIONS]
//
// A crash or a sanitizer's report ends it; the input stands in the file crash-input then.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

std::vector<std::string> corpus_in(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  std::vector<std::string> inputs{""};
  for (const auto& path : files) {
    std::ifstream file(path, std::ios::binary);
    inputs.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return inputs;
}

/// Changes bytes, digits and pieces, as parsers are fooled by.
class Mutator {
 public:
  explicit Mutator(const std::vector<std::string>& corpus) : corpus_(corpus) {}

  std::string next() {
    std::string input = pick();
    for (std::size_t i = 1 + below(4); i > 0; --i) change(input);
    return input;
  }

 private:
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(engine_() % n); }
  const std::string& pick() { return corpus_[below(corpus_.size())]; }

  void change(std::string& input) {
    if (input.empty()) input = pick();
    if (input.empty()) return;
    const std::size_t at = below(input.size());
    switch (below(8)) {
      case 0: input[at] = static_cast<char>(input[at] ^ (1 << below(8))); return;
      case 1: input[at] = static_cast<char>(below(256)); return;
      case 2: input.erase(at, 1 + below(16)); return;
      case 3: input.insert(at, input.substr(below(input.size()), 1 + below(32))); return;
      case 4: input[at] = "0123456789{}[]\",:-. "[below(20)]; return;
      case 5: input.insert(at, words()[below(words().size())]); return;
      case 6: input.resize(at); return;
      default: {
        const std::string& other = pick();
        if (!other.empty()) input.replace(at, std::string::npos, other.substr(below(other.size())));
      }
    }
  }

  static const std::vector<std::string>& words() {
    static const std::vector<std::string> all{
        "18446744073709551615", "9223372036854775808", "4294967296", "-1", "0", "1e400", "null",
        "\"__metadata__\":{}",  "\"data_offsets\":[0,0]", "\"shape\":[]", "\"dtype\":\"F4\"",
        "../", "\\u0000", "\xff\xfe", "[[[[[[[[", "{\"a\":{\"a\":"};
    return all;
  }

  const std::vector<std::string>& corpus_;
  std::mt19937_64 engine_{20240229};
};

void run(const std::string& input) {
  std::ofstream("crash-input", std::ios::binary) << input;
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s CORPUS [MUTATIONS]\n", argv[0]);
    return 64;
  }
  const std::vector<std::string> corpus = corpus_in(argv[1]);
  for (const std::string& input : corpus) run(input);
  const long mutations = argc > 2 ? std::strtol(argv[2], nullptr, 10) : 0;
  Mutator mutator(corpus);
  for (long i = 0; i < mutations; ++i) run(mutator.next());
  std::filesystem::remove("crash-input");
  std::printf("%zu inputs and %ld mutations: no crash\n", corpus.size(), mutations);
  return corpus.size() > 1 ? 0 : 1;
}
