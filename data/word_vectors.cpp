// Which format is it, the word2vec binary format, and the table of words; see word_vectors.h.
#include "data/word_vectors.h"

#include <bit>
#include <charconv>
#include <cstring>

#include "data/fasttext.h"
#include "data/text_hash.h"
#include "data/word_vectors_reader.h"

namespace koine {
namespace {

static_assert(std::endian::native == std::endian::little, "word2vec files are little-endian");

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

// ---- word2vec binary: a word, a blank, dim floats, and perhaps a line end ------------------------------------------

class BinaryReader : public VectorReader {
public:
    BinaryReader(Window& in_, const WordVectorOptions& options_, int64_t dim_, int64_t n_claimed_)
        : VectorReader(in_, options_, dim_, n_claimed_, 4 * dim_ + 1, "byte"), n_vector_bytes(4 * size_t(dim_)) {}

    WordVectors read() {
        while (!is_done()) {
            const std::string_view block = in.view(kBlockBytes);
            size_t begin = 0;
            while (!is_done()) {
                // The original tool ends each record with a line end, gensim does not.
                const size_t word = block.find_first_not_of('\n', begin);
                const size_t blank = word == std::string_view::npos ? word : block.find(' ', word);
                if (blank == std::string_view::npos || block.size() - blank - 1 < n_vector_bytes) break;
                if (blank - word > kMaxWordBytes) break;
                n_seen++;
                take(block.substr(word, blank - word), block.substr(blank + 1, n_vector_bytes), in.offset() + word);
                begin = blank + 1 + n_vector_bytes;
            }
            if (begin == 0) fail_incomplete(block);
            // Copying is as fast as memory: a second thread gains a third, and on a busy machine it is waited for.
            convert_taken(false);
            in.skip(begin);
        }
        return finish("word2vec binary");
    }

private:
    bool convert(std::string_view numbers, real* row) const override {
        for (int64_t d = 0; d < dim; d++) {
            float value;
            std::memcpy(&value, numbers.data() + 4 * d, 4);
            row[d] = value;
        }
        return true;
    }

    [[noreturn]] void explain(std::string_view, std::string_view, uint64_t place) const override {
        fail("VALUE", place, "a vector that cannot be read");  // never: any four bytes are a float
    }

    // No whole record is in the block: the word is too long, or the file ends.
    [[noreturn]] void fail_incomplete(std::string_view block) {
        const size_t word = std::min(block.find_first_not_of('\n'), block.size());
        const size_t blank = std::min(block.find(' ', word), block.size());
        const uint64_t place = in.offset() + word;
        if (word > kMaxWordBytes || blank - word > kMaxWordBytes) {
            fail("LIMIT", place,
                 "a word longer than 65536 bytes: the file is damaged, or its vectors have not " + std::to_string(dim) +
                     " numbers");
        }
        const std::string words = " after " + std::to_string(n_seen) + " of " + std::to_string(*n_claimed) + " words";
        const std::string where = word == block.size() ? ""
                                  : blank == block.size()
                                      ? ", inside a word"
                                      : ", inside the vector of " + shown_word(block.substr(word, blank - word));
        fail("TRUNC", in.offset() + block.size(),
             "the file ends" + words + where + "; is it cut, or is the count in its header wrong?");
    }

    const size_t n_vector_bytes;
};

// ---- which format is it? -------------------------------------------------------------------------------------------

std::string_view first_line(std::string_view text) {
    std::string_view line = text.substr(0, text.find('\n'));
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
}

bool has_control_bytes(std::string_view text) {
    return std::any_of(text.begin(), text.end(),
                       [](char c) { return uint8_t(c) < 0x20 && c != '\t' && c != '\n' && c != '\r'; });
}

// Files that people have beside word vectors, or instead of them.
const char* known_format(std::string_view head) {
    constexpr struct {
        std::string_view magic;
        const char* name;
    } kFormats[] = {
        {{"PK\x03\x04", 4}, "a zip archive: unpack it first"},
        {{"BZh", 3}, "bzip2: unpack it first"},
        {{"\xfd"
          "7zXZ",
          5},
         "xz: unpack it first"},
        {{"\x28\xb5\x2f\xfd", 4}, "zstd: unpack it first"},
        {{"\x93NUMPY", 6}, "a NumPy array, which has no words"},
        {{"\x89HDF", 4}, "HDF5"},
        {{"\x80\x02", 2}, "a Python pickle (gensim's own save format?): save it as word2vec format"},
        {{"\x80\x03", 2}, "a Python pickle (gensim's own save format?): save it as word2vec format"},
        {{"\x80\x04", 2}, "a Python pickle (gensim's own save format?): save it as word2vec format"},
        {{"\x80\x05", 2}, "a Python pickle (gensim's own save format?): save it as word2vec format"},
        {{"\xff\xfe", 2}, "UTF-16 text: convert it to UTF-8"},
        {{"\xfe\xff", 2}, "UTF-16 text: convert it to UTF-8"},
        {{"<!DOCTYPE", 9}, "a web page: did the download fail?"},
        {{"<html", 5}, "a web page: did the download fail?"},
    };
    for (const auto& format : kFormats) {
        if (head.starts_with(format.magic)) return format.name;
    }
    return nullptr;
}

struct Header {
    int64_t count, dim;
    size_t n_bytes;
};

// One of the two numbers of a header, at least 1.
int64_t header_number(const std::string& file, std::string_view text, const char* name, int64_t limit) {
    const auto fail = [&](const char* kind, const std::string& problem) {
        throw DataError(kind, file, "line 1",
                        "the " + std::string(name) + " in the header is " + shown_word(text) + ", " + problem);
    };
    int64_t value = 0;
    const char* const end = text.data() + text.size();
    const auto [after, error] = std::from_chars(text.data(), end, value);
    if (after != end) fail("VALUE", "expected a whole number");
    if (error == std::errc::result_out_of_range) fail("OVERFLOW", "which does not fit in 64 bits");
    if (value < 1) fail("VALUE", "expected at least 1");
    if (value > limit) fail("LIMIT", "at most " + std::to_string(limit) + " is supported");
    return value;
}

// A first line of two fields is a header, and so must be two numbers: nothing else has so few.
std::optional<Header> parse_header(const std::string& file, std::string_view text) {
    constexpr size_t kMaxHeader = 1024;
    const std::string_view line = first_line(text);
    if (line.size() > kMaxHeader || has_control_bytes(line) || known_format(text) != nullptr) return {};
    constexpr const char* kBlanks = " \t";
    const size_t begin = line.find_first_not_of(kBlanks);
    if (begin == std::string_view::npos) return {};
    const size_t end = line.find_first_of(kBlanks, begin);
    const size_t begin_2 = line.find_first_not_of(kBlanks, end);
    if (end == std::string_view::npos || begin_2 == std::string_view::npos) return {};
    const size_t end_2 = line.find_first_of(kBlanks, begin_2);
    if (line.find_first_not_of(kBlanks, end_2) != std::string_view::npos) return {};
    const std::string_view count = line.substr(begin, end - begin);
    const std::string_view dim = line.substr(begin_2, std::min(end_2, line.size()) - begin_2);
    const auto is_numeric = [](std::string_view s) { return s.find_first_not_of("0123456789+-.eE") == s.npos; };
    if (!is_numeric(count) || !is_numeric(dim)) {
        throw DataError("SYNTAX", file, "line 1",
                        "the header is " + shown_word(line) + ", expected two numbers: how many words, and how many " +
                            "numbers each");
    }
    const int64_t n_words = header_number(file, count, "number of words", INT32_MAX);
    return Header{n_words, header_number(file, dim, "number of numbers", kMaxDim), text.find('\n') + 1};
}

// Behind a header: is this text, perhaps damaged, or binary? Whole numbers in the first line settle it. Otherwise what
// would be the first vector is looked at: floats have one byte in twelve, by chance, that could be part of a number.
bool is_text(std::string_view records, int64_t dim) {
    if (count_numbers_at_end(first_line(records)) >= dim && !has_control_bytes(first_line(records))) return true;
    const size_t word = std::min(records.find_first_not_of('\n'), records.size());
    const size_t blank = records.find_first_of(" \t", word);
    if (blank == std::string_view::npos) return !has_control_bytes(records);
    const std::string_view vector = records.substr(blank + 1, 4 * size_t(dim));
    const auto n = std::count_if(vector.begin(), vector.end(),
                                 [](char c) { return std::strchr("0123456789+-.,eE \t\r\nnaif", c) && c != '\0'; });
    return size_t(n) * 4 >= 3 * vector.size();
}

[[noreturn]] void fail_unknown(const std::string& file, std::string_view head) {
    constexpr const char* kWanted =
        "expected word2vec binary, text of a word and its numbers a line, or a fastText model";
    const char* format = known_format(head);
    if (format == nullptr && has_control_bytes(head.substr(0, 4096))) format = "some other binary format";
    if (format != nullptr)
        throw DataError("MAGIC", file, "byte 0", "this looks like " + std::string(format) + "; " + kWanted);
    const std::string_view line = first_line(head);
    if (line.size() == head.size() && head.size() == kBlockBytes) {
        throw DataError("LIMIT", file, "line 1",
                        "a line longer than " + std::to_string(kBlockBytes) + " bytes; " + kWanted);
    }
    throw DataError("SYNTAX", file, "line 1",
                    "found " + shown_word(line) + ", neither a header of two numbers nor a word and at least two " +
                        "numbers; " + kWanted);
}

}  // namespace

WordVectors load_word_vectors(const std::string& path, const WordVectorOptions& options) {
    if (options.limit < 0) throw ValueError("load_word_vectors: limit is " + std::to_string(options.limit));
    Window in(path);
    const bool has_mark = in.view(kByteOrderMark.size()) == kByteOrderMark;
    if (has_mark) in.skip(kByteOrderMark.size());
    const std::string_view head = in.view(kBlockBytes);
    if (head.empty()) throw DataError("SYNTAX", path, "", "the file is empty, expected word vectors");
    if (const auto header = parse_header(path, head)) {
        if (header->n_bytes == 0 || header->n_bytes == head.size()) {
            throw DataError("TRUNC", path, "line 1",
                            "the file ends behind its header: 0 of " + std::to_string(header->count) + " words");
        }
        in.skip(header->n_bytes);
        if (is_text(in.view(kBlockBytes), header->dim)) {
            return read_text_vectors(in, options, header->dim, header->count, has_mark);
        }
        return BinaryReader(in, options, header->dim, header->count).read();
    }
    if (looks_like_fasttext(head, in.max_remaining())) return FastText(path).words(options);
    const std::string_view line = first_line(head);
    const int64_t dim = line.size() < head.size() || head.size() < kBlockBytes ? count_numbers_at_end(line) : 0;
    if (dim >= 2 && dim <= kMaxDim) return read_text_vectors(in, options, dim, {}, has_mark);
    fail_unknown(path, head);
}

// ---- WordTable -----------------------------------------------------------------------------------------------------

size_t WordTable::slot_of(std::string_view text, uint32_t hash) const {
    size_t i = hash & (slots.size() - 1);
    while (slots[i].row >= 0 && (slots[i].hash != hash || word(slots[i].row) != text)) i = (i + 1) & (slots.size() - 1);
    return i;
}

void WordTable::grow() {
    std::vector<Slot> old(slots.empty() ? 16 : 2 * slots.size());
    old.swap(slots);
    for (const Slot& slot : old) {
        if (slot.row < 0) continue;
        size_t i = slot.hash & (slots.size() - 1);
        while (slots[i].row >= 0) i = (i + 1) & (slots.size() - 1);
        slots[i] = slot;
    }
}

bool WordTable::add(std::string_view text) {
    if (2 * ends.size() >= slots.size()) grow();
    const uint32_t hash = uint32_t(TextHash()(text));
    Slot& slot = slots[slot_of(text, hash)];
    if (slot.row >= 0) return false;
    arena.insert(arena.end(), text.begin(), text.end());
    ends.push_back(arena.size());
    slot = {hash, int32_t(ends.size() - 1)};
    return true;
}

int64_t WordTable::find(std::string_view text) const {
    if (slots.empty()) return -1;
    return slots[slot_of(text, uint32_t(TextHash()(text)))].row;
}

std::string_view WordTable::word(int64_t row) const {
    const uint64_t begin = row == 0 ? 0 : ends[size_t(row) - 1];
    return {arena.data() + begin, ends[size_t(row)] - begin};
}

std::vector<std::string_view> WordTable::words() const {
    std::vector<std::string_view> all;
    all.reserve(ends.size());
    for (int64_t row = 0; row < size(); row++) all.push_back(word(row));
    return all;
}

}  // namespace koine
