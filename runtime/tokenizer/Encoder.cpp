//===- Encoder.cpp - Text to WordPiece tokens -----------------------------===//
//
// One pass over the text: added tokens, clean text, spaces around Chinese
// characters, decomposition, accents, case, splitting and the longest-match
// look-up, a character at a time into a buffer that holds one word. Nothing is
// kept of the normalized text beyond that word, so no memory depends on the
// length of the text. Entry point: Tokenizer::encode.
//
//===----------------------------------------------------------------------===//
#include "runtime/tokenizer/Tokenizer.h"
#include "runtime/tokenizer/Unicode.h"

#include <cstdlib>
#include <cstring>
#include <utility>

namespace quern {

using namespace tokenizer_blob;

/// Encodes one text into consecutive tokens of an Encoding. Counts the tokens
/// beyond the limit without storing them.
class Encoder {
public:
  Encoder(const Tokenizer &tokenizer, Encoding &out, size_t first, size_t limit)
      : tokenizer(tokenizer), header(*tokenizer.info()), out(out), first(first),
        limit(limit) {}

  /// Encodes `text`. With `count` false it may stop at the limit. Returns
  /// false when memory is short.
  bool run(std::string_view text, bool count);

  /// Tokens of the text.
  size_t total() const { return tokens; }
  /// Tokens that were stored.
  size_t stored() const { return tokens < limit ? tokens : limit; }

private:
  /// A combining character waiting for its place in canonical order.
  struct Pending {
    uint32_t point;
    uint8_t combining;
    Span span;
  };

  void emit(uint32_t id, Span span);
  void keepAscii(char c, uint32_t at);
  void keep(uint32_t point, Span span);
  void character(uint32_t point, Span span);
  void normalized(uint32_t point, Span span);
  void hold(uint32_t point, uint8_t combining, Span span);
  void releasePending();
  void breakWord();
  void endWord();
  bool matchWord();
  const char *addedToken(const char *at);
  const char *spacesBefore(const char *at) const;

  const Tokenizer &tokenizer;
  const Header &header;
  Encoding &out;
  size_t first;
  size_t limit;
  size_t tokens = 0;
  bool memoryShort = false;

  const char *begin = nullptr;
  const char *end = nullptr;
  /// Where the text after the last added token starts.
  const char *segment = nullptr;
  /// No added token is looked for before: a match there was discarded.
  const char *noAdded = nullptr;

  /// The current word in UTF-8 with each byte's source.
  size_t wordBytes = 0;
  uint32_t wordChars = 0;
  uint32_t wordEnd = 0;
  uint32_t pendingCount = 0;
  char word[maxWordCharsLimit * 4];
  Span source[maxWordCharsLimit * 4];
  /// Hashes of the prefixes of what is left of the word.
  uint32_t hashes[maxWordCharsLimit * 4];
  Span pieceSpans[maxWordCharsLimit];
  uint32_t pieceIds[maxWordCharsLimit];
  Pending pending[maxWordCharsLimit];
};

void Encoder::emit(uint32_t id, Span span) {
  if (tokens < limit) {
    size_t at = first + tokens;
    if (at >= out.capacity && !out.grow(at + 1)) {
      memoryShort = true;
      return;
    }
    out.idData[at] = static_cast<int32_t>(id);
    out.spanData[at] = span;
  }
  ++tokens;
}

/// Appends an ASCII character that needs nothing more.
inline void Encoder::keepAscii(char c, uint32_t at) {
  wordEnd = at + 1;
  if (wordChars++ < header.maxWordChars) {
    word[wordBytes] = c;
    source[wordBytes++] = {at, at + 1};
  } else if (wordChars > header.maxWordChars + 1) {
    // The word is too long already; keep the counter from wrapping.
    wordChars = header.maxWordChars + 1;
  }
}

/// Appends a character to the word.
void Encoder::keep(uint32_t point, Span span) {
  if (wordChars == 0)
    source[0] = span;
  wordEnd = span.end;
  if (wordChars >= header.maxWordChars) {
    wordChars = header.maxWordChars + 1;
    return;
  }
  ++wordChars;
  size_t size = unicode::encode(point, word + wordBytes);
  for (size_t i = 0; i < size; ++i)
    source[wordBytes++] = span;
}

/// Takes a normalized character that is in its canonical place: lower case,
/// then the split.
void Encoder::normalized(uint32_t point, Span span) {
  uint32_t parts[2] = {point, 0};
  unsigned count = 1;
  if (header.normalizer & Lowercase)
    count = unicode::lower(point, parts);
  for (unsigned i = 0; i < count; ++i) {
    uint8_t flags = unicode::properties(parts[i]).flags;
    if (flags & (unicode::Space | unicode::Punctuation))
      endWord();
    if (flags & unicode::Space)
      continue;
    keep(parts[i], span);
    if (flags & unicode::Punctuation)
      endWord();
  }
}

/// Sorts a combining character in behind those of its class and below.
void Encoder::hold(uint32_t point, uint8_t combining, Span span) {
  if (pendingCount == maxWordCharsLimit) {
    // The word is too long for the vocabulary whatever the order.
    releasePending();
  }
  uint32_t at = pendingCount++;
  for (; at > 0 && pending[at - 1].combining > combining; --at)
    pending[at] = pending[at - 1];
  pending[at] = {point, combining, span};
}

void Encoder::releasePending() {
  uint32_t count = pendingCount;
  pendingCount = 0;
  for (uint32_t i = 0; i < count; ++i)
    normalized(pending[i].point, pending[i].span);
}

/// Takes a character of the text, decoded.
void Encoder::character(uint32_t point, Span span) {
  if (header.normalizer & CleanText) {
    uint8_t flags = unicode::properties(point).flags;
    if (point == 0 || (flags & unicode::Other))
      return;
    if (flags & unicode::Space)
      return breakWord();
  }
  bool alone = (header.normalizer & ChineseChars) && unicode::isChinese(point);
  if (alone)
    breakWord();
  if (header.normalizer & StripAccents) {
    uint32_t parts[4];
    unsigned count = unicode::decompose(point, parts);
    for (unsigned i = 0; i < count; ++i) {
      unicode::Properties found = unicode::properties(parts[i]);
      // A mark that is a starter ends the reordering even though it goes.
      if (!found.combining && pendingCount)
        releasePending();
      if (found.flags & unicode::Mark)
        continue;
      if (found.combining)
        hold(parts[i], found.combining, span);
      else
        normalized(parts[i], span);
    }
  } else {
    normalized(point, span);
  }
  if (alone)
    breakWord();
}

/// Ends the word and what waits to be part of it.
void Encoder::breakWord() {
  if (pendingCount)
    releasePending();
  endWord();
}

/// Emits the tokens of the word, if there is one, and starts the next.
void Encoder::endWord() {
  if (wordChars == 0)
    return;
  if (wordChars > header.maxWordChars || !matchWord())
    emit(header.unknownId, {source[0].begin, wordEnd});
  wordBytes = 0;
  wordChars = 0;
}

/// Splits the word into the longest tokens from the left and emits them.
/// False, and nothing emitted, when some part has none.
bool Encoder::matchWord() {
  unsigned pieces = 0;
  for (size_t start = 0; start < wordBytes;) {
    uint32_t hash = start ? tokenizer.prefixHash : hashSeed;
    size_t reach = wordBytes - start;
    if (reach > header.longestToken)
      reach = header.longestToken;
    for (size_t i = 0; i < reach; ++i) {
      hash = hashByte(hash, static_cast<uint8_t>(word[start + i]));
      hashes[i] = hash;
    }
    int64_t found = -1;
    size_t size = reach;
    for (; size > 0; --size) {
      // Only whole characters: a byte 10xxxxxx continues one.
      size_t next = start + size;
      if (next < wordBytes && (word[next] & 0xC0) == 0x80)
        continue;
      found = tokenizer.find(hashes[size - 1], word + start, size, start != 0);
      if (found >= 0)
        break;
    }
    if (found < 0)
      return false;
    pieceIds[pieces] = static_cast<uint32_t>(found);
    pieceSpans[pieces++] = {source[start].begin, source[start + size - 1].end};
    start += size;
  }
  for (unsigned i = 0; i < pieces; ++i)
    emit(pieceIds[i], pieceSpans[i]);
  return true;
}

/// The start of the white space that ends at `at`, within the segment.
const char *Encoder::spacesBefore(const char *at) const {
  while (at > segment) {
    const char *start = at - 1;
    while (start > segment && (*start & 0xC0) == 0x80)
      --start;
    unicode::Decoded last = unicode::decode(start, at);
    if (start + last.bytes != at ||
        !(unicode::properties(last.point).flags & unicode::Space))
      break;
    at = start;
  }
  return at;
}

/// Emits the longest added token at `at` and returns where it ends; returns
/// null when there is none.
const char *Encoder::addedToken(const char *at) {
  if (at < noAdded)
    return nullptr;
  const Added *best = nullptr;
  size_t size = 0;
  for (uint32_t i = 0; i < header.addedCount; ++i) {
    std::string_view text = tokenizer.token(tokenizer.added[i].id);
    if (text.size() > size && text.size() <= size_t(end - at) &&
        std::memcmp(text.data(), at, text.size()) == 0) {
      best = &tokenizer.added[i];
      size = text.size();
    }
  }
  if (!best)
    return nullptr;
  const char *stop = at + size;
  if (best->flags & SingleWord) {
    auto isWord = [](uint32_t point) {
      return unicode::properties(point).flags & unicode::Word;
    };
    const char *previous = at;
    while (previous > begin && (*--previous & 0xC0) == 0x80 &&
           at - previous < 4)
      ;
    if ((at > begin && isWord(unicode::decode(previous, at).point)) ||
        (stop < end && isWord(unicode::decode(stop, end).point))) {
      noAdded = stop;
      return nullptr;
    }
  }
  breakWord();
  const char *start = best->flags & StripLeft ? spacesBefore(at) : at;
  if (best->flags & StripRight)
    while (stop < end) {
      unicode::Decoded next = unicode::decode(stop, end);
      if (!(unicode::properties(next.point).flags & unicode::Space))
        break;
      stop += next.bytes;
    }
  emit(best->id, {static_cast<uint32_t>(start - begin),
                  static_cast<uint32_t>(stop - begin)});
  segment = stop;
  return stop;
}

bool Encoder::run(std::string_view text, bool count) {
  begin = segment = noAdded = text.data();
  end = begin + text.size();
  using Action = Tokenizer::Action;
  for (const char *at = begin; at < end;) {
    auto byte = static_cast<uint8_t>(*at);
    if (tokenizer.startsAdded[byte])
      if (const char *next = addedToken(at)) {
        at = next;
        continue;
      }
    auto offset = static_cast<uint32_t>(at - begin);
    Action action = tokenizer.actions[byte];
    if (action == Action::Decode) {
      unicode::Decoded next = unicode::decode(at, end);
      character(next.point, {offset, offset + next.bytes});
      at += next.bytes;
      continue;
    }
    ++at;
    if (action == Action::Drop)
      continue;
    if (pendingCount)
      releasePending();
    if (action == Action::Keep) {
      keepAscii(tokenizer.lowered[byte], offset);
      continue;
    }
    endWord();
    if (action == Action::Isolate) {
      keepAscii(*(at - 1), offset);
      endWord();
    }
    if (memoryShort || (!count && tokens > limit))
      break;
  }
  breakWord();
  return !memoryShort;
}

Encoding::~Encoding() {
  std::free(idData);
  std::free(typeData);
  std::free(spanData);
}

Encoding::Encoding(Encoding &&other) { *this = std::move(other); }

Encoding &Encoding::operator=(Encoding &&other) {
  std::swap(idData, other.idData);
  std::swap(typeData, other.typeData);
  std::swap(spanData, other.spanData);
  std::swap(count, other.count);
  std::swap(capacity, other.capacity);
  std::swap(cut, other.cut);
  return *this;
}

bool Encoding::grow(size_t wanted) {
  if (wanted <= capacity)
    return true;
  size_t room = capacity < 64 ? 64 : capacity * 2;
  if (room < wanted)
    room = wanted;
  if (room > SIZE_MAX / sizeof(Span))
    return false;
  auto enlarge = [room](auto *&array) {
    void *moved = std::realloc(array, room * sizeof(*array));
    if (moved)
      array = static_cast<std::remove_reference_t<decltype(array)>>(moved);
    return moved != nullptr;
  };
  if (!enlarge(idData) || !enlarge(typeData) || !enlarge(spanData))
    return false;
  capacity = room;
  return true;
}

bool Encoding::reserve(size_t maxLength) {
  // Both texts of a pair may be stored up to the limit before they are cut.
  return maxLength < SIZE_MAX / 2 && grow(2 * maxLength + 3);
}

/// How many tokens of a pair stay: tokens are taken from the longer text, and
/// from both alike when the shorter exceeds half of the room.
static void truncatePair(size_t &one, size_t &two, size_t room) {
  if (one <= room && two <= room - one)
    return;
  bool swapped = one > two;
  size_t &shorter = swapped ? two : one;
  size_t &longer = swapped ? one : two;
  if (shorter <= room && room - shorter >= shorter) {
    longer = room - shorter;
    return;
  }
  shorter = room / 2;
  longer = shorter + room % 2;
}

EncodeStatus Tokenizer::encode(std::string_view text,
                               const std::string_view *pair, size_t maxLength,
                               Encoding &out) const {
  out.count = 0;
  out.cut = false;
  if (text.size() > UINT32_MAX || (pair && pair->size() > UINT32_MAX))
    return EncodeStatus::TextTooLong;
  size_t special = pair ? 3 : 2;
  if (maxLength == 0)
    maxLength = SIZE_MAX / 4;
  if (maxLength < special)
    return EncodeStatus::LengthTooSmall;
  size_t room = maxLength - special;

  Encoder one(*this, out, 1, room);
  if (!out.grow(special) || !one.run(text, /*count=*/pair != nullptr))
    return EncodeStatus::OutOfMemory;
  size_t countOne = one.total(), countTwo = 0, startTwo = one.stored() + 2;
  if (pair) {
    Encoder two(*this, out, startTwo, room);
    if (!two.run(*pair, /*count=*/true))
      return EncodeStatus::OutOfMemory;
    countTwo = two.total();
  }
  out.cut = countOne > room || countTwo > room - countOne;
  if (pair)
    truncatePair(countOne, countTwo, room);
  else if (countOne > room)
    countOne = room;
  size_t total = countOne + countTwo + special;
  if (!out.grow(total))
    return EncodeStatus::OutOfMemory;

  auto put = [&](size_t at, uint32_t id) {
    out.idData[at] = static_cast<int32_t>(id);
    out.spanData[at] = {0, 0};
  };
  put(0, header->classifyId);
  put(countOne + 1, header->separateId);
  if (pair) {
    std::memmove(out.idData + countOne + 2, out.idData + startTwo,
                 countTwo * sizeof(int32_t));
    std::memmove(out.spanData + countOne + 2, out.spanData + startTwo,
                 countTwo * sizeof(Span));
    put(total - 1, header->separateId);
  }
  for (size_t i = 0; i < total; ++i)
    out.typeData[i] = i >= countOne + 2;
  out.count = total;
  return EncodeStatus::Ok;
}

EncodeStatus Tokenizer::encode(std::string_view text, size_t maxLength,
                               Encoding &out) const {
  return encode(text, nullptr, maxLength, out);
}

EncodeStatus Tokenizer::encode(std::string_view text, std::string_view pair,
                               size_t maxLength, Encoding &out) const {
  return encode(text, &pair, maxLength, out);
}

} // namespace quern
