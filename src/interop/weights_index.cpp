#include "interop/weights_index.h"

#include <set>

#include "interop/contained_file.h"
#include "interop/safetensors.h"
#include "interop/sax_base.h"

namespace moe::interop {
namespace {

constexpr int kMaxDepth = 16;

class IndexParser : public SaxBase {
 public:
  explicit IndexParser(const std::string& where) : SaxBase(where) {}

  bool start_object(std::size_t) override {
    open();
    if (depth_ == 3 && in_ == Section::Map) refuse_value("an object");
    return true;
  }
  bool end_object() override {
    --depth_;
    return true;
  }
  bool start_array(std::size_t) override {
    if (in_ != Section::Metadata || depth_ < 2) refuse_value("an array");
    open();
    return true;
  }
  bool end_array() override {
    --depth_;
    return true;
  }

  bool key(string_t& text) override {
    if (depth_ == 1) {
      begin_section(text);
    } else if (depth_ == 2) {
      key_ = text;
      if (!keys_.insert(text).second) refuse(format("the key '{}' stands twice", shown(text)));
    }
    return true;
  }

  bool string(string_t& text) override {
    if (in_ != Section::Map) return skip("a text");
    if (depth_ != 2) refuse_value("a text");
    if (!is_plain_name(text)) {
      refuse(format("tensor '{}': '{}' is not a plain file name", shown(key_), shown(text)));
    }
    if (index_.file_of_tensor.size() == kMaxSafetensorsTensors)
      refuse("more than 1,000,000 tensors");
    index_.file_of_tensor[key_] = text;
    return true;
  }
  bool number_unsigned(number_unsigned_t number) override {
    if (is_total()) index_.total_size = number;
    return is_total() || skip("a number");
  }
  bool number_integer(number_integer_t) override { return skip("a negative number"); }
  bool number_float(number_float_t, const string_t& text) override { return skip(text); }
  bool boolean(bool) override { return skip("a truth value"); }
  bool null() override { return skip("null"); }

  WeightsIndex result() const {
    if (!seen_map_) refuse("there is no weight_map");
    return index_;
  }

 private:
  enum class Section { None, Map, Metadata };

  std::string expectation() const override {
    if (depth_ == 0 || (depth_ == 1 && in_ != Section::None)) return "an object";
    if (is_total()) return "an integer >= 0 as total_size";
    return format("a file name for tensor '{}'", shown(key_));
  }
  bool is_total() const { return in_ == Section::Metadata && depth_ == 2 && key_ == "total_size"; }
  /// Whatever else stands in metadata is nobody's business here.
  bool skip(const std::string& found) const {
    if (in_ != Section::Metadata || depth_ < 2 || is_total()) refuse_value(found);
    return true;
  }
  void open() {
    if (++depth_ > kMaxDepth) refuse("JSON nested too deeply");
  }
  void begin_section(const std::string& name) {
    if (!sections_.insert(name).second) refuse(format("the key '{}' stands twice", shown(name)));
    if (name != "metadata" && name != "weight_map") {
      refuse(format("unknown field '{}'", shown(name)));
    }
    in_ = name == "metadata" ? Section::Metadata : Section::Map;
    seen_map_ = seen_map_ || in_ == Section::Map;
    keys_.clear();
  }

  WeightsIndex index_;
  Section in_ = Section::None;
  int depth_ = 0;
  bool seen_map_ = false;
  std::string key_;
  std::set<std::string> sections_;
  std::set<std::string> keys_;
};

}  // namespace

WeightsIndex parse_weights_index(std::string_view json, const std::string& where) {
  IndexParser parser(where);
  nlohmann::json::sax_parse(json, &parser);
  return parser.result();
}

std::string weights_index_text(const WeightsIndex& index) {
  nlohmann::json json;
  json["metadata"]["total_size"] = index.total_size.value_or(0);
  json["weight_map"] = index.file_of_tensor;
  return json.dump(2) + "\n";
}

}  // namespace moe::interop
