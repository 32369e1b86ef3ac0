// Unicode's normal forms; see unicode.h.
#include <utf8proc.h>

#include <algorithm>
#include <vector>

#include "data/tokenizer_parts.h"
#include "data/unicode.h"

namespace koine {
namespace {

using CodePoints = std::vector<utf8proc_int32_t>;

// Appends what a character decomposes into, to the end (UAX 15, "full decomposition").
void decompose(char32_t c, bool is_compatible, CodePoints& out) {
    const auto options =
        utf8proc_option_t(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | (is_compatible ? UTF8PROC_COMPAT : 0));
    utf8proc_int32_t parts[32];  // the longest, U+FDFA, has 18
    int boundary = 0;
    const auto n = utf8proc_decompose_char(utf8proc_int32_t(c), parts, 32, options, &boundary);
    out.insert(out.end(), parts, parts + std::clamp<utf8proc_ssize_t>(n, 0, 32));
}

int combining_class(utf8proc_int32_t c) { return utf8proc_get_property(c)->combining_class; }

// True if nothing before this character can change because of it: it is no mark, and not the second or third part of a
// Hangul syllable. More careful than it need be for some vowel signs.
bool begins_chunk(char32_t c) {
    if (c < 0x300) return true;
    CodePoints parts;
    decompose(c, true, parts);
    const char32_t first = parts.empty() ? c : char32_t(parts[0]);
    return !is_mark(first) && combining_class(utf8proc_int32_t(first)) == 0 && !(first >= 0x1160 && first <= 0x11ff);
}

// Orders the marks behind each letter by their class, and returns the first place that this may have changed. utf8proc
// does it by swapping neighbours, which takes n^2 steps: hence a sort.
size_t order_marks(CodePoints& chunk) {
    const auto is_starter = [](utf8proc_int32_t c) { return combining_class(c) == 0; };
    const auto comes_first = [](auto a, auto b) { return combining_class(a) < combining_class(b); };
    auto changed = chunk.end();
    for (auto begin = chunk.begin(); begin != chunk.end();) {
        begin = std::find_if_not(begin, chunk.end(), is_starter);
        const auto end = std::find_if(begin, chunk.end(), is_starter);
        if (!std::is_sorted(begin, end, comes_first)) {
            std::stable_sort(begin, end, comes_first);
            changed = std::min(changed, begin);
        }
        begin = end;
    }
    return size_t(changed - chunk.begin());
}

}  // namespace

void normalize(SourcedText& text, UnicodeForm form) {
    const bool is_compatible = form == UnicodeForm::nfkc || form == UnicodeForm::nfkd;
    const bool composes = form == UnicodeForm::nfc || form == UnicodeForm::nfkc;
    const std::string& old = text.text();
    SourcedText::Builder out(text);
    size_t kept = 0;  // everything before it is in `out`
    std::string bytes;
    // Code points [first, last) of the chunk stand for bytes [begin, end) of the text.
    CodePoints chunk;
    const auto put = [&](size_t begin, size_t end, size_t first, size_t last) {
        bytes.clear();
        for (size_t i = first; i < last; i++) append_utf8(bytes, char32_t(chunk[i]));
        if (std::string_view(old).substr(begin, end - begin) == bytes) return;
        out.keep(kept, begin);
        out.replace(begin, end, bytes);
        kept = end;
    };

    struct Place {
        size_t byte, code_point;  // where a character of the old text begins, and what it decomposes into
    };
    std::vector<Place> places;
    for (size_t begin = 0, end = 0; begin < old.size(); begin = end) {
        chunk.clear();
        places.clear();
        do {
            const CodePoint c = code_point_at(old, end);
            places.push_back({end, chunk.size()});
            decompose(c.value, is_compatible, chunk);
            end += c.n_bytes;
        } while (end < old.size() && !begins_chunk(code_point_at(old, end).value));
        if (end - begin == 1 && uint8_t(old[begin]) < 0x80) continue;  // ASCII, alone

        // What is composed or reordered has one source, every character before that its own.
        const size_t n_ordered = order_marks(chunk);
        auto n = utf8proc_ssize_t(chunk.size());
        size_t i = 0;
        if (composes) {
            n = utf8proc_normalize_utf32(chunk.data(), n, utf8proc_option_t(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
        } else {
            places.push_back({end, chunk.size()});
            for (; i + 1 < places.size() && places[i + 1].code_point <= n_ordered; i++) {
                put(places[i].byte, places[i + 1].byte, places[i].code_point, places[i + 1].code_point);
            }
        }
        put(places[i].byte, end, places[i].code_point, size_t(std::max<utf8proc_ssize_t>(n, 0)));
    }
    if (kept == 0) return;
    out.keep(kept, old.size());
    text = std::move(out).finish();
}

}  // namespace koine
