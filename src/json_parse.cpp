// SPDX-License-Identifier: Apache-2.0
#include <fermata/detail/json.hpp>

#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/value_stack.hpp>

#include <cmath>

namespace fermata::detail {
namespace {

using boost::json::error_code;
using boost::json::string_view;

/// What boost::json::parse does, but for doubles: those are read from their text, to the last bit.
/// (boost::json before 1.83 isn't exact; goes when 1.83 is the oldest we build with.)
class exact_handler {
 public:
  explicit exact_handler(boost::json::storage_ptr kept_in)
      : values_({}, room_, sizeof room_), kept_in_(std::move(kept_in)) {}

  static constexpr std::size_t max_object_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_key_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_string_size = static_cast<std::size_t>(-1);

  bool on_document_begin(error_code&) { return values_.reset(kept_in_), true; }
  bool on_document_end(error_code&) { return true; }
  bool on_object_begin(error_code&) { return true; }
  bool on_object_end(std::size_t n, error_code&) { return values_.push_object(n), true; }
  bool on_array_begin(error_code&) { return true; }
  bool on_array_end(std::size_t n, error_code&) { return values_.push_array(n), true; }
  bool on_key_part(string_view s, std::size_t, error_code&) { return values_.push_chars(s), true; }
  bool on_key(string_view s, std::size_t, error_code&) { return values_.push_key(s), true; }
  bool on_string_part(string_view s, std::size_t, error_code&) {
    return values_.push_chars(s), true;
  }
  bool on_string(string_view s, std::size_t, error_code&) { return values_.push_string(s), true; }
  bool on_number_part(string_view s, error_code&) { return number_.append(s), true; }
  bool on_int64(std::int64_t n, string_view, error_code&) {
    return number_.clear(), values_.push_int64(n), true;
  }
  bool on_uint64(std::uint64_t n, string_view, error_code&) {
    return number_.clear(), values_.push_uint64(n), true;
  }
  bool on_double(double around, string_view s, error_code& problem) {
    number_.append(s);
    const char* const end = number_.data() + number_.size();
    double exact = around;
    const auto read = std::from_chars(number_.data(), end, exact);
    if (read.ec != std::errc{} || read.ptr != end) exact = around;  // beyond what doubles hold
    number_.clear();
    if (!std::isfinite(exact)) {
      problem = boost::json::error::exponent_overflow;
      return false;
    }
    return values_.push_double(exact), true;
  }
  bool on_bool(bool b, error_code&) { return values_.push_bool(b), true; }
  bool on_null(error_code&) { return values_.push_null(), true; }
  bool on_comment_part(string_view, error_code&) { return true; }
  bool on_comment(string_view, error_code&) { return true; }

  boost::json::value release() { return values_.release(); }

 private:
  unsigned char room_[1024];  // of the stack, while it is small
  boost::json::value_stack values_;
  boost::json::storage_ptr kept_in_;
  std::string number_;
};

}  // namespace

boost::json::value parse_json(std::string_view text, boost::json::storage_ptr kept_in) {
  boost::json::parse_options options;
  options.max_depth = depth_max + 8;  // what was written can be read
  boost::json::basic_parser<exact_handler> parser(options, std::move(kept_in));
  error_code problem;
  std::size_t read = parser.write_some(false, text.data(), text.size(), problem);
  if (!problem && read < text.size()) problem = boost::json::error::extra_data;
  if (problem)
    throw decode_error("the payload isn't JSON: " + problem.message() + " at byte " +
                       std::to_string(read));
  return parser.handler().release();
}

}  // namespace fermata::detail
