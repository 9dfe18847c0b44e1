/// Numbers and strings in JSON and XML.
#pragma once

#include <string>
#include <string_view>

namespace moe::metrics {

/// The shortest JSON number that reads back to the same double and stays a float ("5.0", "-0.0");
/// "null" for what JSON cannot say.
std::string json_number(double value);

/// A quoted JSON string; bytes beyond ASCII are passed on.
std::string json_string(std::string_view text);

/// Text for an XML element or attribute.
std::string xml_text(std::string_view text);

}  // namespace moe::metrics
