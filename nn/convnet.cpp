#include "nn/convnet.h"

#include <algorithm>

namespace koine {
namespace {

const ConvNetForm& checked(const ConvNetForm& form) {
    const auto sizes = {form.height, form.width, form.n_channels, form.n_classes, form.n_hidden};
    const auto is_positive = [](int64_t n) { return n >= 1; };
    if (!std::all_of(sizes.begin(), sizes.end(), is_positive) ||
        !std::all_of(form.widths.begin(), form.widths.end(), is_positive)) {
        throw ValueError("ConvNet: every size must be 1 or more");
    }
    if (form.widths.size() >= 31 || form.n_features() == 0) {
        throw ValueError("ConvNet: images of " + std::to_string(form.height) + " x " + std::to_string(form.width) +
                         " cannot be halved " + std::to_string(form.widths.size()) + " times");
    }
    return form;
}

Sequential convolution_blocks(const ConvNetForm& form, Generator& gen) {
    Sequential blocks({});
    int64_t n_in = form.n_channels;
    for (const int64_t n_out : form.widths) {
        for (int i = 0; i < 2; i++) {
            // No bias: BatchNorm takes the mean away again, and has a bias of its own.
            blocks.append(Conv2d(gen, n_in, n_out, 3, {.padding = 1}, Activation::none, false));
            blocks.append(BatchNorm2d(n_out));
            blocks.append(Relu());
            n_in = n_out;
        }
        blocks.append(MaxPool2d(2));
    }
    return blocks;
}

}  // namespace

int64_t ConvNetForm::n_features() const {
    const int64_t n_halvings = int64_t(widths.size());
    return (height >> n_halvings) * (width >> n_halvings) * (widths.empty() ? n_channels : widths.back());
}

std::map<std::string, std::string> ConvNetForm::metadata() const {
    std::string list;
    for (const int64_t n : widths) list += (list.empty() ? "" : ",") + std::to_string(n);
    return {{"form.height", std::to_string(height)},         {"form.width", std::to_string(width)},
            {"form.n_channels", std::to_string(n_channels)}, {"form.n_classes", std::to_string(n_classes)},
            {"form.n_hidden", std::to_string(n_hidden)},     {"form.widths", list}};
}

ConvNet::ConvNet(const ConvNetForm& form_, Generator gen)
    : form(checked(form_)),
      blocks(convolution_blocks(form, gen)),
      hidden(gen, form.n_features(), form.n_hidden, Activation::relu),
      output(gen, form.n_hidden, form.n_classes) {}

void ConvNet::visit(Visitor& v) {
    v("blocks", blocks);
    v("hidden", hidden);
    v("output", output);
}

}  // namespace koine
