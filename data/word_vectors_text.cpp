// Word vectors as text: a line for each word, with or without a header; see word_vectors.h.
#include <bit>
#include <charconv>
#include <cstring>

#include "data/word_vectors_reader.h"

namespace koine {
namespace {

bool is_blank(char c) { return c == ' ' || c == '\t'; }

// All of these are exact in double (10^22 is the last that is).
constexpr double kPowersOfTen[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8, 1e9,
                                   1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18};

class TextReader : public VectorReader {
public:
    TextReader(Window& in_, const WordVectorOptions& options_, int64_t dim_, std::optional<int64_t> n_claimed_)
        : VectorReader(in_, options_, dim_, n_claimed_, 2 * dim_, "line"),
          max_line_bytes(kMaxWordBytes + 64 * size_t(dim_)) {}

    WordVectors read() {
        // The threads are woken once a block: seldom, where they have to turn all numbers into rows.
        const size_t block_bytes = options.filter ? kBlockBytes : 4 * kBlockBytes;
        uint64_t line = n_claimed ? 2 : 1;
        while (!is_done()) {
            // Longer than a line may be, so that a block without a line end is an error.
            const size_t n = std::max(block_bytes, max_line_bytes + 2);
            const std::string_view block = in.view(n);
            if (block.empty()) break;
            size_t begin = 0;
            while (!is_done() && begin < block.size()) {
                size_t end = block.find('\n', begin);
                if (end == std::string_view::npos && block.size() == n) break;  // the rest of the line is to come
                if (end == std::string_view::npos) {
                    note(Oddity::open_last_line, line);
                    end = block.size();
                }
                take_line(block.substr(begin, end - begin), line++, begin);
                begin = std::min(end + 1, block.size());
            }
            if (begin == 0) fail_too_long(line);
            convert_taken(true);
            in.skip(begin);
        }
        return finish(n_claimed ? "text with a header" : "text");
    }

private:
    void take_line(std::string_view text, uint64_t line, size_t place_in_block) {
        if (text.ends_with('\r')) {
            text.remove_suffix(1);
            note(Oddity::carriage_return, line);
        }
        while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);  // word2vec and fastText write one
        if (text.empty()) return note(Oddity::empty_line, line);
        if (text.size() > max_line_bytes) fail_too_long(line);
        if (const size_t i = text.find('\0'); i != std::string_view::npos) {
            fail("SYNTAX", line,
                 "a NUL byte, byte " + std::to_string(in.offset() + place_in_block + i) +
                     " of the file; is it UTF-16, or not text at all?");
        }
        // As many blanks as numbers: there is one before each, and none in the word. Everything else takes longer.
        int64_t n_blanks = 0;
        for (char c : text) n_blanks += is_blank(c);
        const size_t end = n_blanks == dim ? text.find_first_of(" \t") : end_of_word(text, line);
        std::string_view word = text.substr(0, end);
        word.remove_prefix(std::min(word.find_first_not_of(" \t"), word.size()));
        if (word.size() > kMaxWordBytes) fail("LIMIT", line, "a word longer than 65536 bytes");
        n_seen++;
        take(word, text.substr(end), line);
    }

    // Where the word ends that stands before `dim` numbers. Words may have blanks inside (". . ." in GloVe), so the
    // numbers are counted from the right.
    size_t end_of_word(std::string_view text, uint64_t line) const {
        size_t i = text.size();
        for (int64_t k = 0; k < dim; k++) {
            const size_t end = i;
            while (i > 0 && !is_blank(text[i - 1])) i--;
            if (i == end || (i == 0 && k == dim - 1)) {
                fail("SHAPE", line,
                     "found " + std::to_string(std::max<int64_t>(k + (i < end) - 1, 0)) +
                         " numbers behind the word, expected " + expected_numbers());
            }
            while (i > 0 && is_blank(text[i - 1])) i--;
        }
        const std::string_view word = text.substr(0, i);
        const size_t last_blank = word.find_last_of(" \t");
        if (last_blank != std::string_view::npos && count_numbers_at_end(word) > 0) {
            fail("SHAPE", line,
                 "found " + std::to_string(dim + count_numbers_at_end(word)) + " numbers behind the word, expected " +
                     expected_numbers());
        }
        return i;
    }

    std::string expected_numbers() const {
        return std::to_string(dim) + (n_claimed ? " as the header says" : " as in the first line");
    }

    bool convert(std::string_view numbers, real* row) const override {
        const char* text = numbers.data();
        const char* const end = text + numbers.size();
        for (int64_t d = 0; d < dim; d++) {
            while (text < end && is_blank(*text)) text++;
            float value;
            text = parse_float(text, end, value);
            if (!text) return false;
            row[d] = value;
        }
        return text == end;
    }

    [[noreturn]] void explain(std::string_view numbers, std::string_view word, uint64_t line) const override {
        const char* text = numbers.data();
        const char* const end = text + numbers.size();
        for (int64_t d = 1;; d++) {
            while (text < end && is_blank(*text)) text++;
            const char* const token = text;
            while (text < end && !is_blank(*text)) text++;
            if (token == end || d > dim) {
                fail("SHAPE", line,
                     "found " + std::string(d > dim ? "more" : std::to_string(d - 1)) + " numbers behind the word " +
                         shown_word(word) + ", expected " + expected_numbers());
            }
            float value;
            if (parse_float(token, end, value)) continue;
            fail("VALUE", line,
                 "number " + std::to_string(d) + " of the vector of " + shown_word(word) + " is " +
                     shown_word({token, size_t(text - token)}) + ", expected a decimal number that fits in a float");
        }
    }

    [[noreturn]] void fail_too_long(uint64_t line) const {
        fail("LIMIT", line,
             "a line longer than " + std::to_string(max_line_bytes) + " bytes, for a word and " + std::to_string(dim) +
                 " numbers");
    }

    const size_t max_line_bytes;
};

}  // namespace

const char* parse_float(const char* text, const char* end, float& value) {
    const auto is_end = [&](const char* p) { return p == end || is_blank(*p); };
    const char* p = text;
    const bool is_negative = p < end && *p == '-';
    p += is_negative;
    const char* const digits = p;
    uint64_t mantissa = 0;
    for (; p < end && uint8_t(*p - '0') < 10; p++) mantissa = 10 * mantissa + uint8_t(*p - '0');
    const char* const point = p;
    if (p < end && *p == '.') p++;
    for (; p < end && uint8_t(*p - '0') < 10; p++) mantissa = 10 * mantissa + uint8_t(*p - '0');
    const bool has_point = p > point;
    const size_t n_digits = size_t(p - digits) - has_point;
    if (n_digits > 0 && n_digits <= 18 && is_end(p) && mantissa < uint64_t{1} << 53) {
        // Both numbers are exact in double, so their quotient q is the double nearest to the decimal number x. Rounding
        // q to float gives the float nearest to x, too, unless q is half-way between two floats: a half-way point is a
        // double, so where q is none, x and q lie on the same side of every half-way point. (There are no denormal
        // floats here: q is 0 or at least 1e-18.)
        const double q = double(mantissa) / kPowersOfTen[has_point ? p - point - 1 : 0];
        constexpr uint64_t kBelowFloat = (uint64_t{1} << 29) - 1;  // the bits of a double that a float has not
        if ((std::bit_cast<uint64_t>(q) & kBelowFloat) != (kBelowFloat + 1) / 2) {
            value = is_negative ? -float(q) : float(q);
            return p;
        }
    }
    const auto [after, error] = std::from_chars(text, end, value);
    return error == std::errc() && is_end(after) ? after : nullptr;
}

int64_t count_numbers_at_end(std::string_view line) {
    int64_t n = 0;
    for (;;) {
        while (!line.empty() && is_blank(line.back())) line.remove_suffix(1);
        const size_t blank = line.find_last_of(" \t");
        if (blank == std::string_view::npos) return n;  // the first field is the word
        float value;
        if (parse_float(line.data() + blank + 1, line.data() + line.size(), value) == nullptr) return n;
        line = line.substr(0, blank);
        n++;
    }
}

WordVectors read_text_vectors(Window& in, const WordVectorOptions& options, int64_t dim,
                              std::optional<int64_t> n_claimed, bool has_byte_order_mark) {
    TextReader reader(in, options, dim, n_claimed);
    if (has_byte_order_mark) reader.note(Oddity::byte_order_mark, 1);
    return reader.read();
}

}  // namespace koine
