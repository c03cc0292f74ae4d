// The numbers of enumerations that JavaScript shares with the native side.
#pragma once

#include <napi.h>

namespace sluice {

/// `{EventKind: {JOB_ENDED: 11, ...}, LedgerCode: {...}, ...}`: every enumeration whose numbers
/// cross the boundary, by the names that lib/ uses. lib/ has no copy of the numbers, and checks the
/// names when it loads the addon (lib/internal/native/addon.js).
Napi::Object native_enums(Napi::Env env);

}  // namespace sluice
