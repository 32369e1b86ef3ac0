// Auto-encoders of 28 x 28 images that can be cut in two at their code, plain and variational, absolute and relative:
// the models of sections 2 and 3 of the report, and of section 5.1 of the paper.
//
//               encoder's side                    the code      decoder's side
//   plain       z = encoder(x)                    z or r        decoder(code)
//   paper's     z = encoder(x)                    z or r        decoder(LayerNorm(r))
//   VAE         z ~ N(mu, var) of encoder(x)      z or r        decoder(code)
//   paper's     e = encoder(x)                    r             z ~ N(mu, var) of LayerNorm(r); decoder(z)
//
// z is an absolute code: what one network makes of an image means nothing to another. r is a relative one: the cosines
// of z with the z of the anchors, which two networks agree about. So the encoder of one model can stand in front of
// the decoder of another: load_stitched(). Whatever is learnt behind the cosines belongs to the decoder, as in the
// paper's code (lucmos/relreps). How they are trained is in experiments/ae_stitch.cpp and vae_stitch.cpp.
//
// Reading order: relative.h, this file, then the two experiments.
#pragma once
#include <map>
#include <optional>

#include "nn/checkpoint.h"
#include "nn/layers.h"

namespace koine {

/// Numbers in the encoder's latent: 2 x 2 x 256.
inline constexpr int64_t kImageLatent = 1024;

/// x[N, 28, 28, C] -> [N, 1024]. Four convolutions 3 x 3, stride 2, padding 1: 28-14-7-4-2 with 32, 64, 128, 256
/// channels, each with BatchNorm and GELU; no activation after the last.
Sequential image_encoder(Generator& gen, int64_t n_channels = 1);

/// code[N, K] -> [N, 28, 28, C] in (0, 1). Linear and GELU to 2 x 2 x 256, four transposed convolutions, stride 2,
/// padding 1: 2-4-7-14-28 with 128, 64, 32, 32 channels and kernels 4, 3, 4, 4, each with BatchNorm and GELU, then a
/// convolution 3 x 3 and a sigmoid.
Sequential image_decoder(Generator& gen, int64_t n_code, int64_t n_channels = 1);

/// A layer that draws: z[N, D] = mu + e^(log_var / 2) eps with eps ~ N(0, 1), mu and log_var linear in e[N, I]. Written
/// so, a draw has a gradient with respect to mu and log_var. Kingma & Welling 2014, arXiv 1312.6114, section 2.4. Every
/// draw is new; their number is part of the state, so a resumed run draws what the uninterrupted one would have drawn.
struct Gaussian : Module {
    Gaussian(Generator& gen, int64_t n_in, int64_t n_out);
    struct Parameters {
        Var mu, log_var;  ///< [N, D]
    };
    Parameters parameters_of(const Var& e) { return {mu(e), log_var(e)}; }
    Var draw(const Parameters& p);
    void visit(Visitor& v) override;

    Linear mu, log_var;
    Random rng;
    uint64_t n_draws = 0;
};

/// What tells one kind of auto-encoder from another. Two models can be stitched when theirs are equal.
struct AutoEncoderForm {
    int64_t n_anchors = 0;  ///< numbers in a relative code; 0: the code is absolute
    int64_t n_latent = 0;   ///< dimensions of a VAE's Gaussian; 0: no VAE
    bool is_paper = false;  ///< the paper's form of a relative model, see the table above; an absolute one has but one

    bool is_relative() const { return n_anchors > 0; }
    bool is_variational() const { return n_latent > 0; }
    /// The Gaussian is in front of the code, not behind it.
    bool draws_in_encoder() const { return is_variational() && !(is_paper && is_relative()); }
    /// Numbers in the code that encoder and decoder exchange.
    int64_t n_code() const;
    /// "a relative VAE (10 anchors, 128 latent dimensions)".
    std::string str() const;

    /// As entries of a checkpoint's metadata, and back. Throws DataError: MISSING when the checkpoint is of no
    /// auto-encoder, VALUE.
    std::map<std::string, std::string> metadata() const;
    static AutoEncoderForm of(const Checkpoint& checkpoint);

    bool operator==(const AutoEncoderForm&) const = default;
};

/// x[N, 28, 28, 1] -> code[N, K] -> y[N, 28, 28, 1] in (0, 1).
struct AutoEncoder : Module {
    /// `anchors` are images [A, 28, 28, 1]; undefined for absolute codes. Throws ShapeError unless A is the form's.
    AutoEncoder(const AutoEncoderForm& form_, const Tensor& anchors_, Generator gen);

    /// Encoder, then decoder. `q`, when given, receives the distribution that a VAE drew from.
    Var encode(const Var& x, Gaussian::Parameters* q = nullptr);
    Var decode(const Var& code, Gaussian::Parameters* q = nullptr);
    Var reconstruct(const Var& x, Gaussian::Parameters* q = nullptr) { return decode(encode(x, q), q); }
    Var forward(const Var& x) override { return reconstruct(x); }
    /// n images of a VAE's own invention: what it makes of draws from the prior, N(0, 1). Throws ValueError unless it
    /// is a VAE.
    Var sample(int64_t n, Random noise);
    void visit(Visitor& v) override;

    AutoEncoderForm form;
    Tensor anchors;
    bool anchor_grad = false;  ///< let gradients flow through the anchors' latents, too
    bool is_at_mean = false;   ///< z = mu in place of a draw
    Sequential encoder;
    std::optional<Gaussian> gaussian;  ///< on either side: see AutoEncoderForm
    std::optional<LayerNorm> norm;     ///< on the decoder's side
    Sequential decoder;

private:
    Var latent(const Var& x, Gaussian::Parameters* q);
    Var project(const Var& z);
    Var draw(const Var& e, Gaussian::Parameters* q);
};

/// While it lives, a VAE draws from `noise`, from the beginning; then it goes on where it was: how often one evaluates
/// must not change what is learnt. Without effect on other models.
class NoiseScope {
public:
    NoiseScope(AutoEncoder& model, Random noise);
    ~NoiseScope();
    NoiseScope(const NoiseScope&) = delete;
    NoiseScope& operator=(const NoiseScope&) = delete;

private:
    Gaussian* gaussian;
    Random rng;
    uint64_t n_draws = 0;
};

/// The form that two checkpoints share. Throws CheckpointError, naming both files and both forms, unless they are
/// equal, DataError as AutoEncoderForm::of.
AutoEncoderForm common_form(const Checkpoint& a, const Checkpoint& b);

/// A model out of two checkpoints, in eval mode: the encoder's side of one, the decoder's side of the other; of one and
/// the same for the model itself. Throws as common_form; CheckpointError, listing what is missing, unexpected or
/// mis-shaped, unless every weight is there; DataError(SHAPE) for a large size that the file claims and does not have.
AutoEncoder load_stitched(const Checkpoint& encoder, const Checkpoint& decoder, const Tensor& anchors);

}  // namespace koine
