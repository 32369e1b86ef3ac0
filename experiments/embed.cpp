// Turns lines of text into vectors, with a published encoder read from its raw files.
//
//   ./experiments/embed --model minilm < lines.txt > vectors.npy
//   ./experiments/embed --model DIR --prefix "query: " --format tsv < lines.txt | head
//   ./experiments/embed --model DIR --ids < lines.txt              what the encoder would see
//
// A model is a folder of the Hugging Face hub: config.json, a tokenizer, weights; or the name of one. Lines are read
// and vectors written a block at a time, so the input may be longer than the memory. Vectors have length 1, for
// cosines, as sentence-transformers gives them for most models; --raw leaves them as they are pooled. With --jsonl each
// line is a JSON string, which can hold any text, line feeds included.
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "data/bytes.h"
#include "data/json.h"
#include "data/model_folder.h"
#include "data/npy.h"
#include "experiments/common/environment.h"
#include "experiments/common/progress.h"
#include "experiments/common/run_main.h"
#include "experiments/common/text_encoder.h"

using namespace koine;

struct Config : Flags {
    std::string model, pool = "mean", prefix, format = "auto";
    int64_t max_tokens = 0;
    bool is_jsonl = false, wants_ids = false, no_cut = false, no_cache = false, is_raw = false;

    Config() {
        name = "embed", about = "lines of text to vectors, with a published encoder";
        unused = {"data-set", "train-limit", "test-limit", "epochs", "batch-size", "lr",   "seed",
                  "seeds",    "protocol",    "full",       "out",    "resume",     "json", "tf32"};
    }
    std::vector<Switch> switches() override {
        std::vector<Switch> list = Flags::switches();
        list.insert(
            list.begin(),
            {{"model",
              &model,
              "a folder of config.json, tokenizer and weights, or the name of one",
              {},
              {},
              "DIR|NAME"},
             {"pool", &pool, "the mean of all tokens' states, or the first token's", {}, {"mean", "cls"}},
             {"prefix", &prefix, "put before every text, such as \"query: \""},
             {"raw", &is_raw, "vectors as they are pooled, not scaled to length 1"},
             {"format", &format, "of the vectors; auto: npy, but tsv on a terminal", {}, {"auto", "npy", "tsv"}},
             {"jsonl", &is_jsonl, "every line is a JSON string"},
             {"ids", &wants_ids, "print the token ids, a JSON array a line; needs no weights"},
             {"max-tokens", &max_tokens, "cut longer texts, 0: at what the model takes (--ids: never)"},
             {"no-cut", &no_cut, "a text that is too long is an error"},
             {"no-cache", &no_cache, "compute even what was computed before"}});
        return list;
    }
};

// ---- lines in -----------------------------------------------------------------------------------------------------

// The lines of stdin, a block at a time. What ends a line is LF or CR LF; the last one need not end.
class Lines {
public:
    explicit Lines(bool is_jsonl_) : is_jsonl(is_jsonl_) {
        if (isatty(STDIN_FILENO)) std::fprintf(stderr, "reading lines from the terminal; Ctrl-D ends them\n");
    }

    // The next lines, at most `n` of them and about kBlockBytes; none at the end.
    std::vector<std::string> take(size_t n) {
        std::vector<std::string> block;
        size_t n_bytes = 0;
        std::string line;
        while (block.size() < n && n_bytes < kBlockBytes && next(line)) {
            n_lines++;
            n_bytes += line.size();
            block.push_back(is_jsonl ? text_of(line) : line);
        }
        return block;
    }
    int64_t taken() const { return n_lines; }

private:
    static constexpr size_t kMaxLine = 64 << 20, kBlockBytes = 64 << 20;

    bool is_jsonl;
    int64_t n_lines = 0;
    std::string buffer;
    size_t at = 0;

    std::string place() const { return "line " + std::to_string(n_lines + 1); }

    bool next(std::string& line) {
        line.clear();
        while (true) {
            const size_t end = buffer.find('\n', at);
            line.append(buffer, at, end == std::string::npos ? end : end - at);
            if (line.size() > kMaxLine) {
                throw DataError("LIMIT", "stdin", place(), "is longer than " + std::to_string(kMaxLine) + " bytes");
            }
            at = end == std::string::npos ? buffer.size() : end + 1;
            if (end != std::string::npos) break;
            if (!refill()) {
                if (line.empty()) return false;
                break;
            }
        }
        if (line.ends_with('\r')) line.pop_back();
        return true;
    }

    bool refill() {
        buffer.resize(1 << 16);
        ssize_t n = 0;
        do n = read(STDIN_FILENO, buffer.data(), buffer.size());
        while (n < 0 && errno == EINTR);
        if (n < 0) throw DataError("IO", "stdin", place(), std::strerror(errno));
        buffer.resize(size_t(n));
        at = 0;
        return n > 0;
    }

    // The line has been counted already.
    std::string text_of(const std::string& line) const {
        const std::string where = "stdin, line " + std::to_string(n_lines);
        const Json json = parse_json(line, where);
        if (!json.is_string()) throw DataError("VALUE", where, "", "expected a JSON string, such as \"two\\nlines\"");
        return json.get<std::string>();
    }
};

// ---- vectors out --------------------------------------------------------------------------------------------------

void put(std::string_view bytes) {
    if (std::fwrite(bytes.data(), 1, bytes.size(), stdout) != bytes.size()) {
        throw DataError("IO", "stdout", "", std::strerror(errno));
    }
}

// A .npy file begins with its number of rows. Where stdout is a file, it is put there at the end; a pipe has to wait
// until all rows are known. Until then a file is no .npy file: a half-written one must not pass for a whole one.
class NpyWriter {
public:
    explicit NpyWriter(int64_t cols_) : cols(cols_), start(std::ftell(stdout)) {
        if (start >= 0) put(std::string(npy_header(0, cols).size(), '\0'));
    }
    void add(const Tensor& rows) {
        n_rows += rows.shape[0];
        const std::string_view bytes(reinterpret_cast<const char*>(rows.data()), size_t(rows.numel()) * sizeof(real));
        if (start >= 0) {
            put(bytes);
        } else {
            waiting += bytes;
        }
    }
    void finish() {
        if (start >= 0 && std::fseek(stdout, start, SEEK_SET) != 0) {
            throw DataError("IO", "stdout", "", std::strerror(errno));
        }
        put(npy_header(n_rows, cols));
        put(waiting);
    }

private:
    int64_t cols, n_rows = 0;
    long start;  // -1 on a pipe
    std::string waiting;
};

void put_tsv(const Tensor& rows) {
    std::string text;
    const int64_t cols = rows.shape[1];
    for (int64_t i = 0; i < rows.numel(); i++) {
        text += nine_digits(double(rows.data()[i]));
        text += (i + 1) % cols == 0 ? '\n' : '\t';
    }
    put(text);
}

// ---- the two jobs -------------------------------------------------------------------------------------------------

constexpr size_t kBlock = 2048;  // lines

void print_ids(const Config& config, Lines& lines) {
    // A folder needs neither weights nor a config.json for this.
    const bool is_folder = std::filesystem::is_directory(config.model);
    const Tokenizer tokenizer =
        Tokenizer::load(is_folder ? config.model : find_model(config.model, data_options(config)));
    const EncodeOptions options = {.max_tokens = config.max_tokens};
    for (std::vector<std::string> block; !(block = lines.take(kBlock)).empty();) {
        std::vector<std::string> rows(block.size());
        for_tasks(Device::cpu, int64_t(block.size()), [&](int64_t i) {
            std::string& row = rows[size_t(i)];
            for (const int32_t id : tokenizer.encode(config.prefix + block[size_t(i)], options).ids)
                row += (row.empty() ? "[" : ", ") + std::to_string(id);
            row += row.empty() ? "[]\n" : "]\n";
        });
        for (const std::string& row : rows) put(row);
    }
}

void print_vectors(const Config& config, Device device, const RunInfo& info, Lines& lines) {
    using Clock = std::chrono::steady_clock;
    TextEncoder encoder({.model = config.model,
                         .pooling = config.pool == "mean" ? Pooling::mean : Pooling::cls,
                         .prefix = config.prefix,
                         .max_tokens = config.max_tokens,
                         .cuts_long = !config.no_cut,
                         .uses_cache = !config.no_cache,
                         .device = device},
                        data_options(config));
    if (!config.quiet) {
        std::fprintf(stderr, "%s\n%s\n%s\n", encoder.folder().c_str(), encoder.description().c_str(),
                     device_text(config, info).c_str());
    }
    const bool is_tsv = config.format == "tsv" || (config.format == "auto" && isatty(STDOUT_FILENO));
    std::optional<NpyWriter> npy;
    if (!is_tsv) npy.emplace(encoder.n_features());
    const Clock::time_point start = Clock::now();
    const auto seconds = [&] { return std::chrono::duration<double>(Clock::now() - start).count(); };
    const bool has_bar = !config.quiet && is_terminal();
    for (std::vector<std::string> block; !(block = lines.take(kBlock)).empty();) {
        Tensor vectors = encoder.encode(block, "stdin", lines.taken() - int64_t(block.size()) + 1);
        if (!config.is_raw) vectors = l2_normalize(vectors).value;
        is_tsv ? put_tsv(vectors) : npy->add(vectors);
        if (has_bar) std::fprintf(stderr, "\r\033[K%lld texts", static_cast<long long>(encoder.counts().n_texts));
    }
    if (npy) npy->finish();
    if (std::fflush(stdout) != 0) throw DataError("IO", "stdout", "", std::strerror(errno));
    if (config.quiet) return;
    const EncoderCounts& n = encoder.counts();
    std::fprintf(stderr,
                 "%s%lld texts, %lld of them from the cache; %lld tokens computed, %s a second; peak memory %s MB\n",
                 has_bar ? "\r\033[K" : "", static_cast<long long>(n.n_texts), static_cast<long long>(n.n_cached),
                 static_cast<long long>(n.n_tokens), fixed(double(n.n_tokens) / seconds(), 0).c_str(),
                 fixed(peak_memory_mb(), 0).c_str());
    if (n.n_cut > 0) {
        std::fprintf(stderr, "note: %lld texts were longer than the model takes; their ends were cut off\n",
                     static_cast<long long>(n.n_cut));
    }
}

int main(int argc, char** argv) {
    Config config;
    return run_main(config, argc, argv, [&] {
        if (config.model.empty()) throw UsageError("--model is missing: a folder, or a name such as minilm");
        RunInfo info;
        const Device device = choose_device(config, info);
        // Nothing is waiting to be saved: blocks that are done are in the cache.
        for (const int signal : {SIGINT, SIGTERM}) std::signal(signal, SIG_DFL);
        Lines lines(config.is_jsonl);
        config.wants_ids ? print_ids(config, lines) : print_vectors(config, device, info, lines);
    });
}
