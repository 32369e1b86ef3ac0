// Image data sets by name, ready for training: found or fetched (locate.h), read (idx.h, csv.h, cifar.h), in [0, 1],
// channels last.
//
// Reading order: bytes.h, gzip.h, idx.h, then this file, then batches.h; for CIFAR also cifar.h and tar.h.
#pragma once
#include <initializer_list>
#include <string>
#include <vector>

#include "data/idx.h"
#include "data/locate.h"
#include "tensor/tensor.h"

namespace koine {

struct ImageSplit {
    Tensor images;                ///< [N, H, W, C], values in [0, 1]
    std::vector<int32_t> labels;  ///< N of them, in [0, n_classes)
    std::vector<int32_t> ids;     ///< where each image stands in the file it came from
    int64_t size() const { return int64_t(labels.size()); }
};

struct ImageSet {
    std::string name;    ///< "mnist"
    std::string source;  ///< in plain words: which files, how much of them
    std::string hash;    ///< of the whole files, whatever the limits: 16 hexadecimal digits, for anchors.json
    int n_classes = 0;
    std::vector<std::string> class_names;  ///< n_classes of them; "0", "1", ... where no file names them
    int64_t n_official = 0;                ///< training images that the whole published set has; 0: no such number
    ImageSplit train, test;
};

/// "mnist", "fashion-mnist", "cifar-10", "cifar-100", "cifar-100-coarse" (the same images, the 20 superclasses as
/// labels) or "synthetic" (drawn, never chosen silently: see synthetic.h). With a limit K, a split is the first K of
/// one fixed shuffle, the same for every run and seed. Throws ValueError for another name or a negative limit,
/// DataError when files are missing (MISSING) or damaged.
ImageSet load_images(const std::string& name, const DataOptions& options);

/// The 60000 + 10000 handwritten digits of LeCun, Cortes & Burges, 28 x 28. Where only the real 5000-image subset is to
/// be had, it is used, 4500 for training and 500 for testing by a fixed shuffle, and `source` says so. Throws as
/// load_images.
ImageSet load_mnist(const DataOptions& options);

/// The 60000 + 10000 photographs of clothes of Xiao, Rasul & Vollgraf 2017 (arXiv 1708.07747), 28 x 28. Throws as
/// load_images.
ImageSet load_fashion_mnist(const DataOptions& options);

/// One of the three CIFAR sets of Krizhevsky 2009 ("Learning Multiple Layers of Features from Tiny Images"), by its
/// name: 50000 + 10000 photographs, 32 x 32, three colours, from the official binary files or from their archive as it
/// was published. Throws as load_images, and ValueError for another name.
ImageSet load_cifar(const std::string& name, const DataOptions& options);

/// Takes the last n images off a split: for validation, so that no choice is made by looking at the test images. Throws
/// ValueError unless 1 <= n < size.
ImageSplit split_off(ImageSplit& split, int64_t n);

/// Images ids[0], ids[1], ... of `from`, bytes divided by 255, channels last. Only they become numbers.
ImageSplit make_split(const LabelledImages& from, std::vector<int32_t> ids);

/// The first `limit` of a fixed shuffle of n images, or with limit 0 all of them in the order of the file.
std::vector<int32_t> limited_ids(int64_t n, int64_t limit);

/// "0", "1", ...: names for classes that have none.
std::vector<std::string> numbered_names(int n);

/// Fnv1a over extents, pixels and labels, in the order of the file. It names a data set; it does not authenticate it.
std::string content_hash(std::initializer_list<const LabelledImages*> parts);

}  // namespace koine
