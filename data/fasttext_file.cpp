// Reading fastText models; see fasttext.h. The file, little-endian:
//
//   magic      int32 793712314, int32 version; absent in the oldest generation
//   settings   12 x int32, double (see Settings)
//   dictionary int32 entries, words, labels; int64 tokens; int64 pruned n-grams or -1 (not in the oldest); for each
//              entry its bytes, NUL, int64 count, int8 type; for each n-gram that survived pruning: int32 bucket, row
//   input      uint8 is it quantised (not in the oldest), matrix of words and buckets
//   output     the same; the weights of the training task, which nobody needs here: skipped
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <span>

#include "data/fasttext.h"
#include "data/fasttext_model.h"
#include "data/gzip.h"

namespace koine {
namespace {

static_assert(std::endian::native == std::endian::little, "models are little-endian and are read as they are");

constexpr int32_t kMagic = 793712314;
constexpr int32_t kOldestVersion = 11, kNewestVersion = 12;
constexpr size_t kSettingsBytes = 12 * 4 + 8;
constexpr int32_t kCbow = 1, kSupervised = 3;  // 2 is skip-gram

// Limits of what is accepted: the largest published models have 300 numbers, 2 million buckets, n-grams of 6.
constexpr int32_t kMaxDim = 10'000;
constexpr int32_t kMaxBuckets = 100'000'000;
constexpr int32_t kMaxNgram = 100;
constexpr uint64_t kMaxWordBytes = 65'536;

constexpr uint64_t kMinEntryBytes = 1 + 8 + 1;  // NUL, count, type

std::string str(int64_t n) { return std::to_string(n); }

// ---- reading ------------------------------------------------------------------------------------------------------

/// Typed reads; a file that ends too early is a DataError(TRUNC) that names the field.
class ModelReader {
public:
    explicit ModelReader(const std::string& path) : in(path) {}

    void fill(std::span<uint8_t> out, const char* field) {
        if (in.read(out) < out.size()) fail("TRUNC", std::string("the file ends inside ") + field);
    }

    template <class T>
    T number(const char* field) {
        std::array<uint8_t, sizeof(T)> bytes;
        fill(bytes, field);
        return std::bit_cast<T>(bytes);
    }

    bool flag(const char* field) {
        const int value = number<uint8_t>(field);
        if (value > 1) fail("VALUE", std::string(field) + " is " + str(value) + ", expected 0 or 1");
        return value == 1;
    }

    /// Throws unless so many bytes can still follow.
    void need(uint64_t n_bytes, const std::string& what) {
        const uint64_t left = in.max_remaining();
        if (n_bytes <= left) return;
        fail("TRUNC", what + " take " + std::to_string(n_bytes) + " bytes, but " +
                          (in.is_compressed() ? "at most " : "") + std::to_string(left) + " are left");
    }

    template <class T>
    std::vector<T> values(uint64_t n, const char* field) {
        constexpr uint64_t kStep = 65536;
        need(n * sizeof(T), std::to_string(n) + " values of " + field);
        std::vector<T> out;
        // Only addresses: the pages come with the data. What a gzip file can hold is too vague for that.
        if (!in.is_compressed()) out.reserve(n);
        while (out.size() < n) {
            const uint64_t begin = out.size(), step = std::min(kStep, n - begin);
            out.resize(begin + step);
            fill({reinterpret_cast<uint8_t*>(out.data() + begin), step * sizeof(T)}, field);
        }
        return out;
    }

    void skip(uint64_t n_bytes, const char* field) {
        while (n_bytes > 0) {
            const size_t step = std::min<uint64_t>(in.peek().size(), n_bytes);
            if (step == 0) fail("TRUNC", std::string("the file ends inside ") + field);
            in.skip(step);
            n_bytes -= step;
        }
    }

    /// The bytes before the next NUL, which is taken too.
    std::string word(const std::string& what) {
        std::string letters;
        while (true) {
            const auto bytes = in.peek();
            if (bytes.empty()) fail("TRUNC", "the file ends inside " + what);
            const auto nul = std::find(bytes.begin(), bytes.end(), 0);
            letters.append(bytes.begin(), nul);
            if (letters.size() > kMaxWordBytes) {
                fail("LIMIT", what + " is longer than the " + std::to_string(kMaxWordBytes) + " bytes accepted");
            }
            in.skip(size_t(nul - bytes.begin()) + (nul == bytes.end() ? 0 : 1));
            if (nul != bytes.end()) return letters;
        }
    }

    [[noreturn]] void fail(const char* kind, const std::string& problem) { in.fail(kind, problem); }

    GzipReader in;
};

/// What the model was trained with. Names as in the tool's args.cc; order as in the file.
struct Settings {
    int32_t dim, ws, epoch, min_count, neg, word_ngrams, loss, model, bucket, minn, maxn, lr_update_rate;
    double t;

    explicit Settings(std::span<const uint8_t, kSettingsBytes> bytes) {
        size_t i = 0;
        for (int32_t* setting : {&dim, &ws, &epoch, &min_count, &neg, &word_ngrams, &loss, &model, &bucket, &minn,
                                 &maxn, &lr_update_rate}) {
            std::memcpy(setting, &bytes[4 * i++], 4);
        }
        std::memcpy(&t, &bytes[4 * i], 8);
    }

    /// Each in its range: what stands for the magic number that the oldest generation lacks.
    bool is_plausible() const {
        const auto in_range = [](int32_t value, int32_t low, int32_t high) { return low <= value && value <= high; };
        return in_range(dim, 1, kMaxDim) && in_range(loss, 1, 4) && in_range(model, kCbow, kSupervised) &&
               in_range(bucket, 0, kMaxBuckets) && in_range(minn, 0, kMaxNgram) && in_range(maxn, 0, kMaxNgram) &&
               std::min({ws, epoch, min_count, neg, word_ngrams, lr_update_rate}) >= 0 && t >= 0 && t <= 1;
    }

    void check(ModelReader& in) const {
        const auto range = [&](const char* name, int32_t value, int32_t low, int32_t high) {
            if (value >= low && value <= high) return;
            in.fail("LIMIT", std::string(name) + " is " + str(value) + ", expected " + str(low) + " to " + str(high));
        };
        if (model == kSupervised) {
            in.fail("DTYPE",
                    "a supervised model, which classifies texts; word vectors need one that was trained with "
                    "`cbow` or `skipgram`");
        }
        if (model < kCbow || model > kSupervised) {
            in.fail("VALUE", "the kind of model is " + str(model) + ", expected 1 (cbow) or 2 (skip-gram)");
        }
        range("dim", dim, 1, kMaxDim);
        range("bucket", bucket, 0, kMaxBuckets);
        range("minn", minn, 0, kMaxNgram);
        range("maxn", maxn, 0, kMaxNgram);
        // maxn = 0 is how one turns subwords off; minn stays as it was then.
        if (maxn > 0 && minn > maxn) in.fail("LIMIT", "minn is " + str(minn) + ", more than maxn, " + str(maxn));
        if (maxn > 0 && bucket == 0) {
            in.fail("VALUE", "bucket is 0, but subwords of up to maxn = " + str(maxn) + " characters need buckets");
        }
    }
};

void check_finite(ModelReader& in, const std::vector<float>& values, int64_t per_row, const std::string& what) {
    const auto bad = std::find_if(values.begin(), values.end(), [](float x) { return !std::isfinite(x); });
    if (bad == values.end()) return;
    const int64_t i = bad - values.begin();
    in.fail("VALUE", what + " holds " + std::to_string(*bad) + " in row " + str(i / per_row) + ", column " +
                         str(i % per_row) + "; expected finite numbers");
}

FastTextQuantiser read_quantiser(ModelReader& in, int64_t dim, const std::string& what) {
    FastTextQuantiser q;
    for (int64_t* extent : {&q.dim, &q.n_parts, &q.part, &q.last_part}) {
        *extent = in.number<int32_t>("the extents of a quantiser");
    }
    const bool fits = q.dim == dim && q.part >= 1 && q.part <= dim && q.n_parts == (dim + q.part - 1) / q.part &&
                      q.last_part == dim - (q.n_parts - 1) * q.part;
    if (!fits) {
        in.fail("SHAPE", "the quantiser of " + what + " cuts " + str(q.dim) + " numbers into " + str(q.n_parts) +
                             " parts of " + str(q.part) + ", the last of " + str(q.last_part) +
                             ", which does not make the " + str(dim) + " numbers expected");
    }
    q.centroids = in.values<float>(uint64_t(dim * kFastTextCentroids), "centroids");
    check_finite(in, q.centroids, kFastTextCentroids, "the list of centroids of " + what);
    return q;
}

/// What precedes the values: 16 bytes if dense, 17 if quantised.
struct MatrixHeader {
    int64_t rows = 0, cols = 0;

    bool is(int64_t rows_, int64_t cols_) const { return rows == rows_ && cols == cols_; }
};

/// The bytes of the values if the matrix is dense. Throws when 63 bits cannot count them.
uint64_t dense_bytes(ModelReader& in, const MatrixHeader& header, const std::string& what) {
    const auto n_values = mul_checked(uint64_t(header.rows), uint64_t(header.cols));
    const auto n_bytes = mul_checked(n_values.value_or(UINT64_MAX), sizeof(float));
    if (header.rows < 0 || header.cols < 0 || !n_bytes || *n_bytes > uint64_t(INT64_MAX)) {
        in.fail("OVERFLOW", what + " is given as " + str(header.rows) + " x " + str(header.cols) +
                                ", more values than can be counted");
    }
    return *n_bytes;
}

/// The codes and quantisers of a matrix whose header was read.
void read_codes(ModelReader& in, FastTextMatrix& matrix, bool has_norms, const std::string& what) {
    const int64_t n_codes = in.number<int32_t>("the number of codes");
    if (n_codes < 0) in.fail("SHAPE", what + " has " + str(n_codes) + " codes");
    matrix.codes = in.values<uint8_t>(uint64_t(n_codes), "codes");
    matrix.quantiser = read_quantiser(in, matrix.dim, what);
    if (n_codes != matrix.rows * matrix.quantiser.n_parts) {
        in.fail("SHAPE", what + " has " + str(n_codes) + " codes, expected " + str(matrix.rows) + " rows of " +
                             str(matrix.quantiser.n_parts));
    }
    if (!has_norms) return;
    matrix.norm_codes = in.values<uint8_t>(uint64_t(matrix.rows), "norm codes");
    matrix.norm_quantiser = read_quantiser(in, 1, "the norms of " + what);
}

FastTextMatrix read_input(ModelReader& in, bool is_quantised, int64_t rows, int64_t dim) {
    std::array<uint8_t, 17> bytes{};
    in.fill(std::span(bytes).first(is_quantised ? 17 : 16), "the extents of the input matrix");
    MatrixHeader dense, quantised;
    std::memcpy(&dense.rows, &bytes[0], 8);
    std::memcpy(&dense.cols, &bytes[8], 8);
    std::memcpy(&quantised.rows, &bytes[1], 8);
    std::memcpy(&quantised.cols, &bytes[9], 8);  // the last byte, of a number that is small, may not have been read

    const MatrixHeader& header = is_quantised ? quantised : dense;
    const MatrixHeader& other = is_quantised ? dense : quantised;
    if (!header.is(rows, dim) && other.is(rows, dim)) {
        in.fail("DTYPE", std::string("the input matrix is announced as ") + (is_quantised ? "quantised" : "dense") +
                             ", but it is " + (is_quantised ? "dense" : "quantised"));
    }
    const uint64_t n_bytes = dense_bytes(in, header, "the input matrix");
    if (!header.is(rows, dim)) {
        in.fail("SHAPE", "the input matrix is " + str(header.rows) + " x " + str(header.cols) +
                             "; words and buckets make " + str(rows) + " x " + str(dim));
    }

    FastTextMatrix matrix;
    matrix.rows = rows;
    matrix.dim = dim;
    matrix.is_quantised = is_quantised;
    if (is_quantised) {
        if (bytes[0] > 1) in.fail("VALUE", "the flag for norms is " + str(bytes[0]) + ", expected 0 or 1");
        read_codes(in, matrix, bytes[0] == 1, "the input matrix");
    } else {
        matrix.values = in.values<float>(n_bytes / sizeof(float), "the input matrix");
        check_finite(in, matrix.values, dim, "the input matrix");
    }
    return matrix;
}

/// The output matrix is only stepped over, so that a file that was cut there does not pass for a whole one.
void skip_output(ModelReader& in, bool is_quantised, int64_t dim) {
    const char* what = "the output matrix";
    MatrixHeader header;
    const bool has_norms = is_quantised && in.flag("the flag for norms of the output matrix");
    header.rows = in.number<int64_t>(what);
    header.cols = in.number<int64_t>(what);
    const uint64_t n_bytes = dense_bytes(in, header, what);
    if (header.cols != dim) {
        in.fail("SHAPE", std::string(what) + " has " + str(header.cols) + " columns, expected " + str(dim));
    }
    if (is_quantised) {
        FastTextMatrix ignored;
        ignored.rows = header.rows;
        ignored.dim = dim;
        read_codes(in, ignored, has_norms, what);
    } else {
        in.need(n_bytes, std::string("the values of ") + what);
        in.skip(n_bytes, what);
    }
}

void read_dictionary(ModelReader& in, FastTextModel& model) {
    const int64_t size = in.number<int32_t>("the size of the dictionary");
    const int64_t n_words = in.number<int32_t>("the number of words");
    const int64_t n_labels = in.number<int32_t>("the number of labels");
    const int64_t n_tokens = in.number<int64_t>("the number of tokens");
    const int64_t n_kept = model.version > 0 ? in.number<int64_t>("the number of n-grams kept") : -1;
    if (n_words < 0 || n_labels < 0 || n_words + n_labels != size) {
        in.fail("VALUE", "the dictionary has " + str(n_words) + " words and " + str(n_labels) + " labels, but " +
                             str(size) + " entries");
    }
    if (n_tokens < 0) in.fail("VALUE", "the number of tokens is " + str(n_tokens));
    if (n_kept < -1 || n_kept > model.bucket) {
        in.fail("OFFSET",
                "pruning kept " + str(n_kept) + " of " + str(model.bucket) + " buckets; -1 stands for no pruning");
    }
    in.need(uint64_t(size) * kMinEntryBytes, str(size) + " entries of the dictionary");

    auto words = std::make_shared<WordTable>();
    for (int64_t i = 0; i < size; i++) {
        const std::string what = "entry " + str(i) + " of the dictionary, which has " + str(size);
        const std::string word = in.word(what);
        const int64_t count = in.number<int64_t>("the dictionary");
        if (count < 0) in.fail("VALUE", what + ": its count is " + str(count));
        const int type = in.number<uint8_t>("the dictionary");
        if (type > 1) in.fail("VALUE", what + ": its type is " + str(type) + ", expected 0 (word) or 1 (label)");
        if ((type == 0) != (i < n_words)) {
            in.fail("VALUE", what + ": is a " + (type ? "label" : "word") + "; words come first, then labels");
        }
        if (type == 0 && !words->add(word)) {
            in.fail("DUP", what + ": is the same word as entry " + str(words->find(word)));
        }
    }
    model.words = std::move(words);

    model.is_pruned = n_kept >= 0;
    if (!model.is_pruned) return;
    in.need(uint64_t(n_kept) * 8, str(n_kept) + " n-grams kept");
    for (int64_t i = 0; i < n_kept; i++) {
        const int32_t b = in.number<int32_t>("the n-grams kept");
        const int32_t row = in.number<int32_t>("the n-grams kept");
        if (b < 0 || b >= model.bucket) {
            in.fail("OFFSET", "n-gram " + str(i) + " kept is bucket " + str(b) + " of " + str(model.bucket));
        }
        if (row < 0 || row >= n_kept) {
            in.fail("OFFSET", "n-gram " + str(i) + " kept has row " + str(row) + " of " + str(n_kept));
        }
        model.kept.emplace_back(b, row);
    }
    std::sort(model.kept.begin(), model.kept.end());
    const auto same = std::adjacent_find(model.kept.begin(), model.kept.end(),
                                         [](const auto& a, const auto& b) { return a.first == b.first; });
    if (same != model.kept.end()) in.fail("DUP", "bucket " + str(same->first) + " is kept twice");
}

/// A word's vector is the sum of its n-grams' rows. Models that people train have fewer than a hundred additions for a
/// byte of the file; long words, long n-grams and many numbers in a row would make a small file the work of minutes.
void check_work(ModelReader& in, const FastTextModel& model) {
    constexpr uint64_t kPerByte = 1'000, kMore = 1'000'000'000;
    uint64_t n_ngrams = 0;  // no overflow: a byte of the file is in a hundred of them at most
    for (int64_t i = 0; i < model.n_words(); i++) {
        const uint64_t n = model.words->word(i).size() + 2;
        n_ngrams += n * std::min(n, uint64_t(model.maxn));
    }
    // The file's size, not that of what is inside: gzip makes little of much.
    const uint64_t limit = kPerByte * InputFile(model.file).size() + kMore;
    if (n_ngrams * uint64_t(model.dim) <= limit) return;
    in.fail("LIMIT", "the n-grams of up to maxn = " + str(model.maxn) + " characters of all words are up to " +
                         std::to_string(n_ngrams) + ", with " + str(model.dim) +
                         " numbers each: for a file of this size, at most " +
                         std::to_string(limit / uint64_t(model.dim)) + " are accepted");
}

/// The magic number if there is one, and the settings.
Settings read_settings(ModelReader& in, int32_t& version) {
    std::array<uint8_t, kSettingsBytes> bytes;
    const auto first = std::span(bytes).first<4>();
    in.fill(first, "the magic number");
    const bool has_magic = std::bit_cast<int32_t>(std::array{bytes[0], bytes[1], bytes[2], bytes[3]}) == kMagic;
    if (has_magic) {
        version = in.number<int32_t>("the version");
        if (version < kOldestVersion || version > kNewestVersion) {
            in.fail("MAGIC", "a fastText model of version " + str(version) + "; " + str(kOldestVersion) + " to " +
                                 str(kNewestVersion) + " can be read");
        }
    }
    in.fill(std::span(bytes).subspan(has_magic ? 0 : 4), "the settings");
    const Settings settings(bytes);
    if (!has_magic && !settings.is_plausible()) {
        in.fail("MAGIC", "not a fastText model: the magic number " + str(kMagic) +
                             " is not there, and what is there are not the settings that the oldest models begin with");
    }
    settings.check(in);
    return settings;
}

}  // namespace

std::shared_ptr<const FastTextModel> read_fasttext_model(const std::string& path) {
    ModelReader in(path);
    auto model = std::make_shared<FastTextModel>();
    model->file = path;
    const Settings settings = read_settings(in, model->version);
    model->dim = settings.dim;
    model->bucket = settings.bucket;
    model->minn = settings.minn;
    model->maxn = settings.maxn;
    read_dictionary(in, *model);

    const bool has_flags = model->version > 0;
    const bool is_quantised = has_flags && in.flag("the flag for a quantised input matrix");
    if (model->is_pruned && !is_quantised) {
        in.fail("DTYPE", "the dictionary is pruned, but the input matrix is not quantised; only both go together");
    }
    const int64_t n_subwords = model->is_pruned ? int64_t(model->kept.size()) : model->bucket;
    model->input = read_input(in, is_quantised, model->n_words() + n_subwords, model->dim);
    // The tool heeds this flag in quantised models only.
    const bool has_quantised_output = has_flags && in.flag("the flag for a quantised output matrix") && is_quantised;
    skip_output(in, has_quantised_output, model->dim);
    check_work(in, *model);
    if (!in.in.at_end()) model->n_trailing = in.in.is_compressed() ? in.in.peek().size() : in.in.max_remaining();
    return model;
}

bool looks_like_fasttext(std::string_view first_bytes, uint64_t file_size) {
    int32_t magic = 0;
    if (first_bytes.size() < sizeof magic) return false;
    std::memcpy(&magic, first_bytes.data(), sizeof magic);
    if (magic == kMagic) return true;
    constexpr uint64_t kDictionaryHead = 3 * sizeof(int32_t) + 8, kMatrixHead = 2 * sizeof(int64_t);
    if (first_bytes.size() < kSettingsBytes || file_size < kSettingsBytes + kDictionaryHead + 2 * kMatrixHead) {
        return false;
    }
    std::array<uint8_t, kSettingsBytes> bytes;
    std::memcpy(bytes.data(), first_bytes.data(), kSettingsBytes);
    return Settings(bytes).is_plausible();
}

}  // namespace koine
