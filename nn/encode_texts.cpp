#include "nn/encode_texts.h"

namespace koine {
namespace {

// On the CPU passes come in multiples of this, so that 2, 4 or 8 threads end together; but none is made smaller than
// kMinTokens for it: the weights are read once a pass, and fewer rows would not be worth the reading.
constexpr int64_t kBalance = 8, kMinTokens = 128;

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Which text each pass begins with, and the number of texts: passes of consecutive texts, about equal in tokens.
std::vector<size_t> plan_passes(const std::vector<std::vector<int32_t>>& texts, int64_t tokens_per_pass,
                                int64_t balance) {
    int64_t n_tokens = 0;
    for (const std::vector<int32_t>& text : texts) n_tokens += int64_t(text.size());
    const int64_t wanted = divide_up(n_tokens, tokens_per_pass);
    const int64_t n_passes = std::max(wanted, std::min(divide_up(wanted, balance) * balance, n_tokens / kMinTokens));
    std::vector<size_t> begins{0};
    int64_t done = 0;
    for (size_t n = 0; n < texts.size(); n++) {
        const int64_t length = int64_t(texts[n].size()), pass = int64_t(begins.size());
        // A text goes where its middle falls.
        if (n > begins.back() && (done + length / 2) * n_passes > pass * n_tokens) begins.push_back(n);
        done += length;
    }
    begins.push_back(texts.size());
    return begins;
}

}  // namespace

Tensor encode_texts(TransformerEncoder& encoder, const std::vector<std::vector<int32_t>>& texts, Pooling pooling,
                    int64_t tokens_per_pass) {
    if (encoder.training) throw ValueError("encode_texts: the encoder is in training mode; want eval()");
    if (tokens_per_pass < 1)
        throw ValueError("encode_texts: " + std::to_string(tokens_per_pass) + " tokens a pass; want 1 or more");
    // Here and not only in a pass, whose numbers of texts begin anew.
    encoder.check(PackedTokens::from(texts));
    for (size_t n = 0; n < texts.size(); n++) {
        if (texts[n].empty()) throw ValueError("encode_texts: text " + std::to_string(n) + " is empty");
    }
    const Device device = encoder.words.weight.device();
    const Tensor vectors = Tensor::empty({int64_t(texts.size()), encoder.config.layer.n_features}, device);
    if (texts.empty()) return vectors;
    const auto run = [&](size_t begin, size_t end) {
        const NoGrad no_grad;  // of this thread
        const PackedTokens tokens =
            PackedTokens::from({texts.begin() + int64_t(begin), texts.begin() + int64_t(end)}, device);
        vectors.slice(0, int64_t(begin), int64_t(end))
            .copy_from(pool_texts(encoder(tokens), tokens.starts, pooling).value);
    };
    const std::vector<size_t> begins = plan_passes(texts, tokens_per_pass, device == Device::cpu ? kBalance : 1);
    const int64_t n_passes = int64_t(begins.size()) - 1;
    if (n_passes == 1) {
        run(0, texts.size());  // the threads share its rows
    } else {
        for_tasks(device, n_passes, [&](int64_t pass) { run(begins[size_t(pass)], begins[size_t(pass) + 1]); });
    }
    return vectors;
}

}  // namespace koine
