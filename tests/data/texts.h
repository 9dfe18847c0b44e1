/// Texts that try to break tokenizers.
#pragma once

#include <string>
#include <vector>

#include "base/random.h"

namespace moe::data::testing {

inline std::vector<std::string> adversarial_texts() {
  std::vector<std::string> texts{
      "",
      " ",
      "  ",
      "a",
      "\n",
      "\r\n",
      "\t\ttabs\t",
      std::string("nul\0nul", 7),
      " leading and trailing ",
      "many     spaces   \n\n\n  \n",
      "the \xe2\x96\x81 mark\xe2\x96\x81",             // U+2581
      "\xe2\x96\x81\xe2\x96\x81 \xe2\x96\x81",
      "reserved \xe2\x96\x85 block",                    // U+2585
      "<s></s><unk><0x41><pad>",
      "cut \xe2\x96",                                   // truncated sequences
      "\xc3", "\xf0\x9f\x98", "\xf0\x9f\x98\x80",
      "\xff\xfe\x80\xbf",
      "overlong \xc0\xaf \xe0\x80\x80",
      "surrogate \xed\xa0\x80",
      "past the end \xf4\x90\x80\x80",
      "\xef\xbb\xbf BOM",
      "\xef\xbf\xbd replacement, \xef\xbf\xbe noncharacter",
      "combining e\xcc\x81 \xe2\x80\x8d joiner \xc2\xa0 nbsp \xe3\x80\x80 wide",
      "ﬁ ligature ① ½ Å (compatibility forms)",
      "東京 naïve \U0001F600",
      std::string(40000, 'a'),
      std::string(40000, ' '),
      std::string(20001, '\n'),
  };
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  texts.push_back(all);
  const Random random(3, "bytes");
  for (std::uint64_t t = 0; t < 200; ++t) {
    std::string noise;
    // Dense in UTF-8 lead bytes, continuations and spaces.
    static constexpr char kPool[] = "a \n\xc3\xa9\xe2\x96\x81\x85\xf0\x9f\x98\x80\xff\xe6\x9d\xb1the ";
    for (std::uint64_t i = 0; i < 200; ++i) {
      noise += kPool[random.below(sizeof(kPool), t * 1000 + i)];
    }
    texts.push_back(noise);
  }
  return texts;
}

}  // namespace moe::data::testing
