// What the readers of word vectors share: a window over the file, the matrix that grows, and the way of a record from
// its bytes to a row. The formats themselves are in word_vectors.cpp (binary) and word_vectors_text.cpp.
//
// A block of the file is taken in three steps. One thread finds the records, asks the filter and drops duplicates, in
// the order of the file. The numbers of the new words become rows, each where it belongs: by all threads for text,
// which has to be parsed, by one for binary files, which are copied. One thread looks at what was noted. So the result
// does not depend on the number of threads.
#pragma once
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/gzip.h"
#include "data/word_vectors.h"

namespace koine {

inline constexpr size_t kMaxWordBytes = 1 << 16;
inline constexpr int64_t kMaxDim = 1 << 16;
/// Read at once: small enough for the cache, and more than a binary record of the largest word and dim.
inline constexpr size_t kBlockBytes = 1 << 19;
static_assert(kBlockBytes > 2 * kMaxWordBytes + 4 * size_t(kMaxDim));

/// The contents of a file, gzip or plain, front to back; as much of them as is wanted can be seen in one piece.
class Window {
public:
    explicit Window(const std::string& path);

    /// The next n bytes; fewer only where the file ends.
    std::string_view view(size_t n);
    /// Steps over n of the bytes that view() showed.
    void skip(size_t n);
    const std::string& file() const { return path; }
    bool is_compressed() const { return gzip != nullptr; }
    /// Place in the contents of the next byte.
    uint64_t offset() const { return position; }
    /// No more bytes than this can follow; see GzipReader::max_remaining.
    uint64_t max_remaining() const;

private:
    size_t read(std::span<uint8_t> out);

    std::string path;
    std::unique_ptr<InputFile> plain;  // null for gzip
    std::unique_ptr<GzipReader> gzip;  // null for a plain file
    std::unique_ptr<uint8_t[]> buffer;
    size_t capacity = 0, begin = 0, end = 0;
    uint64_t position = 0, n_read = 0;
};

/// Rows of a matrix whose number is not known beforehand, or known and bounded by the size of the file.
class RowStore {
public:
    /// With `n_expected` > 0 there is room for exactly so many rows and no row is ever copied.
    RowStore(int64_t dim, int64_t n_expected);
    /// Memory for one more row; it stays where it is until take().
    real* add();
    /// All rows, [N, D]. Beside them, a ninth of them is in memory at the worst moment.
    Tensor take();

private:
    // Fresh memory from the system, which has it back at once: malloc might keep it.
    struct Pages {
        explicit Pages(size_t n_bytes);
        ~Pages();
        Pages(const Pages&) = delete;
        Pages& operator=(const Pages&) = delete;
        size_t bytes;
        real* data;
    };
    struct Chunk {
        std::unique_ptr<Pages> pages;
        int64_t n_rows;
    };

    int64_t dim;
    int64_t n = 0;
    Tensor whole;  // when the number of rows was known
    std::vector<Chunk> chunks;
    int64_t n_free = 0;  // rows of the last chunk that are not in use
};

/// What is odd about a file, and harmless.
enum class Oddity {
    duplicate,
    empty_word,
    zero_vector,
    trailing_bytes,
    byte_order_mark,
    carriage_return,
    open_last_line,
    empty_line,
    not_utf8,
    non_finite,
    count
};

/// From records to rows; a format derives from it.
class VectorReader {
public:
    /// `n_claimed` words are promised by the file, or none; a record takes at least `min_record_bytes`; places are in
    /// `unit`s ("line", "byte").
    VectorReader(Window& in, const WordVectorOptions& options, int64_t dim, std::optional<int64_t> n_claimed,
                 int64_t min_record_bytes, const char* unit);
    virtual ~VectorReader() = default;

    /// Counts an oddity; an error when the options are strict.
    void note(Oddity oddity, uint64_t place, std::string_view word = {}, uint64_t how_many = 1);

protected:
    /// Writes the numbers of a record into a row; false when they cannot be read. Called by all threads.
    virtual bool convert(std::string_view numbers, real* row) const = 0;
    /// Throws for the numbers that convert() refused.
    [[noreturn]] virtual void explain(std::string_view numbers, std::string_view word, uint64_t place) const = 0;

    /// Takes a record: its word becomes a row if the filter wants it and it is new. `numbers` must stay in memory until
    /// convert_taken().
    void take(std::string_view word, std::string_view numbers, uint64_t place);
    /// Fills the rows of what was taken, by all threads or by this one.
    void convert_taken(bool by_all_threads);
    /// True when enough words are kept, or all promised ones are seen.
    bool is_done() const { return is_full() || n_seen == n_claimed; }
    /// Throws TRUNC when words are missing, counts the bytes behind the last one, and returns everything.
    WordVectors finish(const std::string& format);
    [[noreturn]] void fail(const char* kind, uint64_t place, const std::string& problem) const;

    Window& in;
    const WordVectorOptions options;
    const int64_t dim;
    const std::optional<int64_t> n_claimed;
    int64_t n_seen = 0;  // records so far

private:
    struct Record {
        std::string_view numbers;
        real* row;
        uint64_t place;
        bool is_read, is_zero, is_regular;
    };
    struct Count {
        uint64_t n = 0, place = 0;
        std::string word;  // of the first one
    };
    bool is_full() const { return options.limit > 0 && table.size() == options.limit; }
    void convert_one(Record& record) const;
    void check_end();

    const char* unit;
    WordTable table;
    RowStore rows;
    std::vector<Record> taken;  // not converted yet
    std::array<Count, size_t(Oddity::count)> counts;
};

/// A word for a message: quoted, shortened, with the bytes that are not UTF-8 replaced.
std::string shown_word(std::string_view word);

/// Reads text from the place where `in` is: behind the header, if there is one (`n_claimed`).
WordVectors read_text_vectors(Window& in, const WordVectorOptions& options, int64_t dim,
                              std::optional<int64_t> n_claimed, bool has_byte_order_mark);
/// How many numbers stand at the end of a line, its first field not among them.
int64_t count_numbers_at_end(std::string_view line);
/// Reads a decimal number, which ends at a blank or with the text, and returns what follows it; null when there is
/// none. The value is the float nearest to the decimal number, as strtof's in the C locale.
const char* parse_float(const char* text, const char* end, float& value);

}  // namespace koine
