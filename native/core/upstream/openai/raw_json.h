// Spans of JSON text that are passed on as they came. Any thread; plain functions.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "core/base/utf8.h"

namespace sluice {

/// The end of the member of an object whose name begins at `from` with its quote, and whose value
/// is no object or array. `json` must be valid.
std::size_t scalar_member_end(std::string_view json, std::size_t from);

/// `text` as valid UTF-8, on its own. The view is `text` or `scratch`, whose content is replaced.
std::string_view whole_text(std::string_view text, Utf8Decoder::Surrogates surrogates,
                            std::string& scratch);

}  // namespace sluice
