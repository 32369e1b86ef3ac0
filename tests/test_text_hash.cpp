// Tables of texts from files: the hash against its authors' numbers, and files whose words were made to collide.
#include "data/text_hash.h"

#include <chrono>
#include <set>

#include "data/vocabulary.h"
#include "data/word_vectors.h"
#include "tests/data_samples.h"

using namespace koine;
using namespace koine::testing;

namespace {

/// Words of 16 bytes that std::hash maps to one number. libstdc++'s is MurmurHash64A with a known seed: what the first
/// eight bytes have done, the last eight undo.
std::vector<std::string> colliding_words(size_t n) {
    constexpr uint64_t kMul = 0xc6a4a7935bd1e995, kSeed = 0xc70f6907;
    uint64_t inverse = kMul;  // of kMul modulo 2^64, by Newton's iteration
    for (int i = 0; i < 6; i++) inverse *= 2 - kMul * inverse;
    const auto mix = [](uint64_t v) { return v ^ v >> 47; };
    std::vector<std::string> words;
    for (uint64_t i = 0; i < n; i++) {
        const uint64_t after_first = ((kSeed ^ 16 * kMul) ^ mix(i * kMul) * kMul) * kMul;
        const uint64_t halves[2] = {i, mix(after_first * inverse) * inverse};
        words.emplace_back(reinterpret_cast<const char*>(halves), sizeof halves);
    }
    return words;
}

double seconds_of(const std::function<void()>& call) {
    const auto start = std::chrono::steady_clock::now();
    call();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

TEST_CASE("SipHash-1-3, against its authors' numbers", "[data]") {
    // vectors.h of github.com/veorq/SipHash has them for 2-4; those of 1-3 are the ones of the Rust library's tests.
    // The key is the bytes 0 to 15, the text the bytes 0 to n - 1.
    constexpr uint64_t kKey0 = 0x0706050403020100, kKey1 = 0x0f0e0d0c0b0a0908;
    const uint64_t expected[] = {0xabac0158050fc4dc, 0xc9f49bf37d57ca93, 0x82cb9b024dc7d44d};
    std::string text;
    for (uint64_t wanted : expected) {
        CHECK(siphash13(kKey0, kKey1, text) == wanted);
        text += char(text.size());
    }
    // Every byte counts, whatever the length, and so does the length.
    std::set<uint64_t> seen;
    for (size_t n = 0; n < 40; n++) {
        seen.insert(siphash13(kKey0, kKey1, std::string(n, '\0')));
        for (size_t i = 0; i < n; i++) {
            std::string changed(n, '\0');
            changed[i] = '\x80';
            seen.insert(siphash13(kKey0, kKey1, changed));
        }
    }
    CHECK(seen.size() == 40 + 39 * 40 / 2);
}

TEST_CASE("words that were made to collide keep no table busy", "[data][A10]") {
    const std::vector<std::string> words = colliding_words(60'000);  // 1 MB
    std::set<size_t> by_std, by_ours;
    for (const std::string& word : words) {
        by_std.insert(std::hash<std::string_view>()(word));
        by_ours.insert(TextHash()(word));
    }
    if (by_std.size() > 1) SKIP_TEST("this standard library has another hash");
    CHECK(by_ours.size() == words.size());

    // With std::hash it is 1,800,000,000 comparisons.
    std::vector<std::pair<std::string, int64_t>> entries;
    for (const std::string& word : words) entries.emplace_back(word, int64_t(entries.size()));
    CHECK(seconds_of([&] { CHECK(Vocabulary(std::move(entries), "vocab").n_tokens() == 60'000); }) < 2);
    WordTable table;
    CHECK(seconds_of([&] {
              for (const std::string& word : words) table.add(word);
          }) < 2);
    CHECK(table.find(words.back()) == 59'999);
}
