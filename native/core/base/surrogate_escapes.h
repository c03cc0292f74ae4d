// UTF-16 surrogate halves in JSON escapes. Any thread; plain functions.
#pragma once

#include <string>

namespace sluice {

/// JSON may escape a character as a pair (`\ud83d\ude00`), and a model's server may cut its text
/// between the two, so that a payload ends in one half. A JSON parser refuses such a half, and
/// rightly; this replaces each half that stands alone in `json` by its raw three-byte form,
/// which `Utf8Decoder::Surrogates::kJoin` puts together again. Pairs are left alone.
/// Works in place in one pass; returns whether anything was replaced.
bool unescape_lone_surrogates(std::string& json);

}  // namespace sluice
