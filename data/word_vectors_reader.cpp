// The window, the matrix that grows, and the way of a record to its row; see word_vectors_reader.h.
#include "data/word_vectors_reader.h"

#include <sys/mman.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>
#include <nlohmann/json.hpp>

#include "data/utf8.h"

namespace koine {
namespace {

constexpr int64_t kRowsPerTask = 32;
constexpr int64_t kMaxRows = INT32_MAX;

struct OddityText {
    const char* kind;  // of the error when the options are strict
    const char* text;
};
constexpr OddityText kOddities[] = {
    {"DUP", "repeated words, each kept with its first vector"},
    {"VALUE", "records without a word, skipped"},
    {"VALUE", "vectors of nothing but zeros"},
    {"SYNTAX", "bytes behind the last word that the header promises, not read"},
    {"SYNTAX", "a byte order mark, skipped"},
    {"SYNTAX", "lines that end in CR LF"},
    {"SYNTAX", "a last line without a line end (is the file cut?)"},
    {"SYNTAX", "empty lines, skipped"},
    {"UTF8", "words that are not UTF-8, kept as they are"},
    {"VALUE", "vectors with NaN, infinite or denormal numbers, kept"},
};
static_assert(std::size(kOddities) == size_t(Oddity::count));

// Not NaN, not infinite, and zero or large enough to have all the digits of a float.
bool is_regular(real value) {
    const real size = std::abs(value);
    return size <= std::numeric_limits<float>::max() && (size >= std::numeric_limits<float>::min() || size == 0);
}

}  // namespace

// ---- Window -------------------------------------------------------------------------------------------------------

Window::Window(const std::string& path_) : path(path_), plain(std::make_unique<InputFile>(path_)) {
    const std::string_view magic = view(2);
    if (magic != "\x1f\x8b") return;
    // GzipReader starts at the front of the file. A plain file does without it: it would copy every byte once more.
    gzip = std::make_unique<GzipReader>(path);
    plain.reset();
    begin = end = 0;
}

std::string_view Window::view(size_t n) {
    if (end - begin < n) {
        if (n > capacity) {
            auto larger = std::make_unique_for_overwrite<uint8_t[]>(n);
            std::copy(buffer.get() + begin, buffer.get() + end, larger.get());
            buffer = std::move(larger);
            capacity = n;
        } else {
            std::copy(buffer.get() + begin, buffer.get() + end, buffer.get());
        }
        end -= begin;
        begin = 0;
        while (end < n) {
            const size_t got = read(std::span(buffer.get() + end, n - end));
            if (got == 0) break;
            end += got;
        }
    }
    return {reinterpret_cast<const char*>(buffer.get()) + begin, std::min(n, end - begin)};
}

size_t Window::read(std::span<uint8_t> out) {
    const size_t got = gzip ? gzip->read(out) : plain->read(out);
    n_read += got;
    return got;
}

void Window::skip(size_t n) {
    begin += n;
    position += n;
}

uint64_t Window::max_remaining() const {
    const uint64_t unread = gzip ? gzip->max_remaining() : plain->size() - std::min(plain->size(), n_read);
    return unread + (end - begin);
}

// ---- RowStore -----------------------------------------------------------------------------------------------------

RowStore::Pages::Pages(size_t n_bytes) : bytes(n_bytes) {
    void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) throw std::bad_alloc();
    data = static_cast<real*>(p);
}

RowStore::Pages::~Pages() { munmap(data, bytes); }

RowStore::RowStore(int64_t dim_, int64_t n_expected) : dim(dim_) {
    if (n_expected > 0) whole = Tensor::empty({n_expected, dim});
}

real* RowStore::add() {
    if (whole.is_defined()) return whole.data() + dim * n++;
    if (n_free == 0) {
        constexpr int64_t kLeastBytes = 1 << 18;
        const int64_t row_bytes = dim * int64_t(sizeof(real));
        n_free = std::max({n / 8, kLeastBytes / row_bytes, int64_t{1}});
        chunks.push_back({std::make_unique<Pages>(size_t(n_free * row_bytes)), 0});
    }
    n++;
    n_free--;
    Chunk& last = chunks.back();
    return last.pages->data + dim * last.n_rows++;
}

Tensor RowStore::take() {
    if (whole.is_defined()) return whole.slice(0, 0, n);
    const Tensor all = Tensor::empty({n, dim});
    real* to = all.data();
    for (Chunk& chunk : chunks) {
        to = std::copy_n(chunk.pages->data, chunk.n_rows * dim, to);
        chunk.pages.reset();
    }
    return all;
}

// ---- VectorReader -------------------------------------------------------------------------------------------------

// A promise is worth memory only if nothing is filtered out and the file is large enough to keep it; how large a gzip
// file is nobody knows.
static int64_t expected_rows(const Window& in, const WordVectorOptions& options, std::optional<int64_t> n_claimed,
                             int64_t min_record_bytes) {
    if (!n_claimed || options.filter || in.is_compressed()) return 0;
    const int64_t n = std::min(*n_claimed, int64_t(in.max_remaining()) / min_record_bytes);
    return options.limit > 0 ? std::min(n, options.limit) : n;
}

VectorReader::VectorReader(Window& in_, const WordVectorOptions& options_, int64_t dim_,
                           std::optional<int64_t> n_claimed_, int64_t min_record_bytes, const char* unit_)
    : in(in_),
      options(options_),
      dim(dim_),
      n_claimed(n_claimed_),
      unit(unit_),
      rows(dim_, expected_rows(in_, options_, n_claimed_, min_record_bytes)) {}

void VectorReader::fail(const char* kind, uint64_t place, const std::string& problem) const {
    throw DataError(kind, in.file(), std::string(unit) + " " + std::to_string(place), problem);
}

void VectorReader::note(Oddity oddity, uint64_t place, std::string_view word, uint64_t how_many) {
    const OddityText& odd = kOddities[size_t(oddity)];
    if (options.is_strict) {
        fail(odd.kind, place,
             odd.text + (word.empty() ? "" : ": " + shown_word(word)) + "; an error because reading is strict");
    }
    Count& count = counts[size_t(oddity)];
    if (count.n == 0) count = {0, place, std::string(word)};
    count.n += how_many;
}

void VectorReader::take(std::string_view word, std::string_view numbers, uint64_t place) {
    if (word.empty()) return note(Oddity::empty_word, place);
    if (options.filter && !options.filter(word)) return;
    if (utf8_valid_prefix(word) < word.size()) {
        if (!options.keeps_bytes) {
            fail("UTF8", place, "the word " + shown_word(word) + " is not UTF-8; keeps_bytes reads it all the same");
        }
        note(Oddity::not_utf8, place, word);
    }
    if (table.size() == kMaxRows) fail("LIMIT", place, "more than " + std::to_string(kMaxRows) + " words");
    if (!table.add(word)) return note(Oddity::duplicate, place, word);
    taken.push_back({numbers, rows.add(), place, false, false, false});
}

void VectorReader::convert_one(Record& record) const {
    record.is_read = convert(record.numbers, record.row);
    if (!record.is_read) return;
    int n_irregular = 0, n_nonzero = 0;
#pragma omp simd reduction(+ : n_irregular, n_nonzero)
    for (int64_t d = 0; d < dim; d++) {
        n_irregular += !is_regular(record.row[d]);
        n_nonzero += record.row[d] != 0;
    }
    record.is_regular = n_irregular == 0;
    record.is_zero = n_nonzero == 0;
}

void VectorReader::convert_taken(bool by_all_threads) {
    const int64_t n = int64_t(taken.size());
    const auto task = [&](int64_t i) {
        for (int64_t k = i * kRowsPerTask; k < std::min(n, (i + 1) * kRowsPerTask); k++) convert_one(taken[size_t(k)]);
    };
    const int64_t n_tasks = (n + kRowsPerTask - 1) / kRowsPerTask;
    if (by_all_threads && n_tasks > 1) {
        for_tasks(Device::cpu, n_tasks, task);
    } else {
        for (int64_t i = 0; i < n_tasks; i++) task(i);
    }
    for (int64_t k = 0; k < n; k++) {
        const Record& record = taken[size_t(k)];
        const std::string_view word = table.word(table.size() - n + k);
        if (!record.is_read) explain(record.numbers, word, record.place);
        if (!record.is_regular) {
            if (!options.allows_non_finite) {
                const int64_t d = std::find_if_not(record.row, record.row + dim, is_regular) - record.row;
                char value[32];
                std::snprintf(value, sizeof value, "%g", double(record.row[d]));
                fail("VALUE", record.place,
                     "number " + std::to_string(d + 1) + " of the vector of " + shown_word(word) + " is " + value +
                         ", expected a finite number that is not denormal; allows_non_finite reads it all the same");
            }
            note(Oddity::non_finite, record.place, word);
        }
        if (record.is_zero) note(Oddity::zero_vector, record.place, word);
    }
    taken.clear();
}

void VectorReader::check_end() {
    if (is_full()) return;
    if (n_claimed && n_seen < *n_claimed) {
        throw DataError("TRUNC", in.file(), "byte " + std::to_string(in.offset()),
                        "the file ends behind " + std::to_string(n_seen) + " of " + std::to_string(*n_claimed) +
                            " words; is it cut, or is the count in its header wrong?");
    }
    std::string_view rest = in.view(kBlockBytes);
    in.skip(std::min(rest.find_first_not_of("\r\n"), rest.size()));
    const uint64_t end = in.offset();
    uint64_t n = in.is_compressed() ? 0 : in.max_remaining();
    // The end of a gzip file is where its checksum is; but there may be gigabytes before it.
    constexpr uint64_t kMostBytes = 1 << 24;
    while (in.is_compressed() && n < kMostBytes && !(rest = in.view(kBlockBytes)).empty()) {
        n += rest.size();
        in.skip(rest.size());
    }
    if (n > 0) note(Oddity::trailing_bytes, end, {}, n);
}

WordVectors VectorReader::finish(const std::string& format) {
    check_end();
    WordVectors out;
    out.format = format;
    out.vectors = rows.take();
    for (size_t i = 0; i < counts.size(); i++) {
        const Count& count = counts[i];
        if (count.n == 0) continue;
        const std::string word = count.word.empty() ? "" : ", " + shown_word(count.word);
        out.warnings.push_back(std::string(kOddities[i].text) + ": " + std::to_string(count.n) + " (first: " + unit +
                               " " + std::to_string(count.place) + word + ")");
    }
    out.source = in.file() + ": " + format + ", " + std::to_string(table.size()) + " words" +
                 (n_claimed   ? " of " + std::to_string(*n_claimed)
                  : is_full() ? ""
                              : " of " + std::to_string(n_seen)) +
                 ", " + std::to_string(dim) + " numbers each";
    out.table = std::make_shared<const WordTable>(std::move(table));
    out.words = out.table->words();
    return out;
}

std::string shown_word(std::string_view word) {
    constexpr size_t kShown = 40;
    return nlohmann::json(std::string(word.substr(0, kShown)))
               .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) +
           (word.size() > kShown ? "..." : "");
}

}  // namespace koine
