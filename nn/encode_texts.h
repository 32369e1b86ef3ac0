// One vector for each of many texts: an encoder run over a whole data set.
//
// Texts are dealt out in passes of a few hundred tokens, and each thread takes one pass after the other from the first
// layer to the last: no thread waits for another inside a layer, and what a pass needs stays near its core. Texts keep
// their order; there is nothing to be gained from sorting them by length, since nothing is padded.
#pragma once
#include "nn/transformer.h"

namespace koine {

/// Tokens that are worth a pass: on the CPU what stays near a core, on a GPU what fills it.
inline int64_t good_tokens_per_pass(Device device) { return device == Device::cpu ? 512 : 16384; }

/// The vectors [N, D] of N texts, computed under NoGrad where the encoder is, and left there. On a GPU one pass follows
/// the other. `tokens_per_pass` bounds the memory, some 35 kB a token and thread for a base model: a pass has about as
/// many tokens, or a single text. Which texts share a pass depends on their lengths alone, so the result does not
/// depend on the number of threads; other texts beside a text change its vector by rounding at most, and not at all
/// where BLAS computes each row alike (OpenBLAS does in passes of several hundred tokens; not for the tokens of a
/// single short text). Throws ValueError for an empty or an overlong text, an id outside the vocabulary, an encoder in
/// training mode, tokens_per_pass < 1.
Tensor encode_texts(TransformerEncoder& encoder, const std::vector<std::vector<int32_t>>& texts, Pooling pooling,
                    int64_t tokens_per_pass = 512);

}  // namespace koine
