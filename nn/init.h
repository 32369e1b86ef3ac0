// First values of parameters, and where their random numbers come from.
//
// fan_in and fan_out are the numbers of inputs and outputs of one unit, as PyTorch counts them: for a Linear I and O,
// for a Conv2d kh kw I and kh kw O, for a ConvTranspose2d kh kw O and kh kw I (its weight is the transpose of a
// Conv2d's).
#pragma once
#include "tensor/tensor.h"

namespace koine {

/// Hands out streams of random numbers, one after the other, all from one seed: the layers of a model take theirs in
/// the order in which they are made, so a seed stands for one set of weights. Behind every stream lie 2^32 - 1 more
/// that nobody else gets: the k-th is Random{r.seed, r.stream + k}.
class Generator {
public:
    explicit Generator(uint64_t seed_) : seed(seed_) {}
    Random next() { return {seed, n_taken++ << 32}; }

private:
    uint64_t seed;
    uint64_t n_taken = 0;
};

/// Scope guard for a model whose weights will come from a file: while it lives (on this thread) the functions below,
/// and Embedding, return memory of undefined contents instead of drawing numbers. roberta-base is made in a millisecond
/// instead of five seconds. = torch.nn.utils.skip_init.
class SkipInit {
public:
    SkipInit();
    ~SkipInit();
    SkipInit(const SkipInit&) = delete;
    SkipInit& operator=(const SkipInit&) = delete;

private:
    bool was_active;
};

/// N(0, deviation^2). BERT's weights and embeddings begin with a deviation of 0.02: Devlin et al. 2019.
Tensor normal_values(const Shape& shape, double deviation, Random rng);

/// U(-1 / sqrt(fan_in), 1 / sqrt(fan_in)): PyTorch's default for weights and biases of Linear and of convolutions,
/// which it calls kaiming_uniform(a = sqrt 5). Like all functions here, throws ValueError unless the fans are positive.
Tensor default_uniform(const Shape& shape, int64_t fan_in, Random rng);

/// U(-b, b), b = sqrt(6 / fan_in): keeps the variance through ReLU layers. He et al. 2015, arXiv 1502.01852.
Tensor kaiming_uniform(const Shape& shape, int64_t fan_in, Random rng);
/// N(0, 2 / fan_in). He et al. 2015.
Tensor kaiming_normal(const Shape& shape, int64_t fan_in, Random rng);

/// U(-b, b), b = sqrt(6 / (fan_in + fan_out)): for layers without ReLU. Glorot & Bengio 2010.
Tensor xavier_uniform(const Shape& shape, int64_t fan_in, int64_t fan_out, Random rng);
/// N(0, 2 / (fan_in + fan_out)). Glorot & Bengio 2010.
Tensor xavier_normal(const Shape& shape, int64_t fan_in, int64_t fan_out, Random rng);

}  // namespace koine
