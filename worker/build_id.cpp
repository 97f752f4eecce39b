// SPDX-License-Identifier: Apache-2.0
#include "worker/build_id.hpp"

#include <link.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>

namespace fermata::detail {

namespace {

using bytes = std::span<const std::uint8_t>;

std::string hexadecimal(bytes id) {
  std::string text;
  for (const std::uint8_t byte : id) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

/// A note is three words, then name and content, each filled up to the segment's alignment.
std::string id_in_notes(bytes notes, std::size_t alignment) {
  const auto filled = [&](std::size_t size) { return (size + alignment - 1) & ~(alignment - 1); };
  ElfW(Nhdr) head;
  while (notes.size() >= sizeof head) {
    std::memcpy(&head, notes.data(), sizeof head);
    const std::size_t name_at = sizeof head;
    const std::size_t content_at = name_at + filled(head.n_namesz);
    if (content_at > notes.size() || head.n_descsz > notes.size() - content_at) return {};
    const bool is_gnu = head.n_namesz == 4 && std::memcmp(&notes[name_at], "GNU", 4) == 0;
    if (is_gnu && head.n_type == NT_GNU_BUILD_ID)
      return hexadecimal(notes.subspan(content_at, head.n_descsz));
    notes = notes.subspan(std::min(notes.size(), content_at + filled(head.n_descsz)));
  }
  return {};
}

bool holds(const dl_phdr_info& object, std::uintptr_t address) {
  for (const ElfW(Phdr) & segment : std::span(object.dlpi_phdr, object.dlpi_phnum)) {
    const auto from = static_cast<std::uintptr_t>(object.dlpi_addr + segment.p_vaddr);
    if (segment.p_type == PT_LOAD && address >= from && address - from < segment.p_memsz)
      return true;
  }
  return false;
}

struct question {
  std::uintptr_t address;  // 0: the program itself, which is the first
  std::string answer = {};
};

int look(dl_phdr_info* object, std::size_t, void* asked) {
  auto& what = *static_cast<question*>(asked);
  if (what.address != 0 && !holds(*object, what.address)) return 0;
  what.answer = build_id_of(*object);
  return 1;
}

std::string ask(std::uintptr_t address) {
  if (const char* given = std::getenv("FERMATA_BUILD"); given != nullptr && *given != '\0')
    return given;
  question what{.address = address};
  dl_iterate_phdr(look, &what);
  return what.answer;
}

}  // namespace

std::string build_id_of(const dl_phdr_info& object) {
  for (const ElfW(Phdr) & segment : std::span(object.dlpi_phdr, object.dlpi_phnum)) {
    if (segment.p_type != PT_NOTE) continue;
    const auto at = static_cast<std::uintptr_t>(object.dlpi_addr + segment.p_vaddr);
    const bytes notes(reinterpret_cast<const std::uint8_t*>(at), segment.p_memsz);
    std::string found = id_in_notes(notes, segment.p_align == 8 ? 8 : 4);
    if (!found.empty()) return found;
  }
  return {};
}

std::string build_id_of(const void* address_in_object) {
  if (address_in_object == nullptr) return {};
  return ask(reinterpret_cast<std::uintptr_t>(address_in_object));
}

std::string own_build_id() { return ask(0); }

}  // namespace fermata::detail
