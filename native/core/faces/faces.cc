#include "core/faces/chat_face.h"
#include "core/faces/face_options.h"
#include "core/faces/messages_face.h"
#include "core/faces/responses_face.h"
#include "core/faces/ui_face.h"

namespace sluice {

std::unique_ptr<Face> make_face(FaceOptions options) {
  switch (options.dialect) {
    case FaceOptions::Dialect::kNone:
      return nullptr;
    case FaceOptions::Dialect::kChat:
    case FaceOptions::Dialect::kCompletions:
      return std::make_unique<ChatFace>(std::move(options));
    case FaceOptions::Dialect::kResponses:
      return std::make_unique<ResponsesFace>(std::move(options));
    case FaceOptions::Dialect::kUi:
      return std::make_unique<UiFace>(std::move(options));
    case FaceOptions::Dialect::kMessages:
      return std::make_unique<MessagesFace>(std::move(options));
  }
  return nullptr;
}

}  // namespace sluice
