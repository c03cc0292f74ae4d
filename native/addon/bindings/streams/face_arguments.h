// The options of a face, as lib/streams passes them.
#pragma once

#include "addon/napi/method.h"
#include "core/faces/face_options.h"

namespace sluice {

/// `{dialect, id, tail, model, created, envelope, choices, choicesPerPrompt, includeUsage,
/// reasoningField, reasoningSummary, background, after}`; `dialect` is `'chat'`, `'completions'`,
/// `'responses'`,
/// `'ui'` or `'messages'`. All but `dialect` may be absent. A value that is no object: no face.
template <>
struct FromJs<FaceOptions> {
  static FaceOptions read(napi_env env, napi_value value);
};

}  // namespace sluice
