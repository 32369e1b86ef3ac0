// The CIFAR image sets: finding their files, in a folder or in the archive as it was published, and putting them
// together. What is in a file: cifar.h.
#include <algorithm>
#include <filesystem>
#include <iostream>
#include <map>
#include <optional>

#include "data/cifar.h"
#include "data/datasets.h"
#include "data/fnv.h"
#include "data/tar.h"

namespace koine {
namespace {

constexpr int64_t kOfficialTrain = 50000, kOfficialTest = 10000;
/// More than the 185 MB that the larger archive holds.
constexpr uint64_t kMaxArchiveBytes = 1 << 28;

/// What the authors called things.
struct Layout {
    CifarFormat format;
    std::vector<std::string> folders;                 // below a root
    std::vector<std::string> train;                   // files, in their order
    std::string test, class_names, superclass_names;  // files; "" for none
    std::string python_folder;
    std::vector<std::string> python_files;

    std::string archive() const { return std::string(format.name) + "-binary.tar.gz"; }
    std::string python_archive() const { return std::string(format.name) + "-python.tar.gz"; }
    std::vector<std::string> data_files() const {
        auto files = train;
        files.push_back(test);
        return files;
    }
};

const Layout& layout_of(const CifarFormat& format) {
    static const Layout ten = {
        kCifar10,
        {"cifar-10-batches-bin", "cifar-10-binary", "cifar-10"},
        {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"},
        "test_batch.bin",
        "batches.meta.txt",
        "",
        "cifar-10-batches-py",
        {"data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"}};
    static const Layout hundred = {kCifar100,
                                   {"cifar-100-binary", "cifar-100"},
                                   {"train.bin"},
                                   "test.bin",
                                   "fine_label_names.txt",
                                   "coarse_label_names.txt",
                                   "cifar-100-python",
                                   {"train", "test"}};
    return format.n_superclasses > 0 ? hundred : ten;
}

bool is_file(const std::string& path) {
    std::error_code ignored;
    return std::filesystem::is_regular_file(path, ignored);
}

/// FOLDER/NAME or FOLDER/NAME.gz, or "".
std::string find_file(const std::string& folder, const std::string& name) {
    for (const char* ending : {"", ".gz"}) {
        if (is_file(folder + "/" + name + ending)) return folder + "/" + name + ending;
    }
    return "";
}

// ---- where --------------------------------------------------------------------------------------------------------

/// A folder of files, or an archive.
struct Place {
    std::string path;
    bool is_archive;
};

/// All places to look in below a root, best first. As with MNIST, only what the user named may hold the files itself.
std::vector<Place> places_of(const Layout& layout, const std::string& root, const DataOptions& options) {
    if (root == options.dir && is_file(root)) return {{root, true}};
    std::vector<Place> places;
    std::vector<std::string> folders = layout.folders;
    folders.push_back(layout.python_folder);
    for (const std::string& folder : folders) places.push_back({root + "/" + folder, false});
    if (root == options.dir) places.push_back({root, false});
    for (const std::string& name : {layout.archive(), layout.python_archive()}) {
        for (const std::string& folder : layout.folders) places.push_back({root + "/" + folder + "/" + name, true});
        places.push_back({root + "/" + name, true});
    }
    return places;
}

size_t n_data_files(const Layout& layout, const Place& place) {
    size_t n = 0;
    for (const std::string& name : layout.data_files()) n += !find_file(place.path, name).empty();
    return n;
}

bool is_python_archive(const Layout& layout, const Place& place) {
    return place.path.ends_with("/" + layout.python_archive());
}

/// Is the whole data set there?
bool is_complete(const Layout& layout, const Place& place) {
    if (place.is_archive) return is_file(place.path) && !is_python_archive(layout, place);
    return n_data_files(layout, place) == layout.data_files().size();
}

/// Is some of it there, so that an error can name what is not?
bool is_partial(const Layout& layout, const Place& place) {
    return !place.is_archive && n_data_files(layout, place) > 0;
}

/// The pickle that is in a folder, or "".
std::string python_file(const Layout& layout, const Place& place) {
    if (place.is_archive) return "";
    for (const std::string& name : layout.python_files) {
        const std::string path = find_file(place.path, name);
        if (path.empty()) continue;
        GzipReader in(path);
        if (begins_as_pickle(in.peek())) return path;
    }
    return "";
}

/// Is the Python version there? Reading it says so.
bool has_python(const Layout& layout, const Place& place) {
    return is_python_archive(layout, place) ? is_file(place.path) : !python_file(layout, place).empty();
}

Place find_place(const Layout& layout, const DataOptions& options) {
    const auto roots = data_roots(options);
    const auto first_with = [&](const auto& holds, const std::vector<std::string>& below) -> std::optional<Place> {
        for (const std::string& root : below) {
            for (const Place& place : places_of(layout, root, options)) {
                if (holds(layout, place)) return place;
            }
        }
        return std::nullopt;
    };
    std::optional<Place> place = first_with(is_complete, roots);
    if (!place) place = first_with(is_partial, roots);
    // Fetching 160 MB for somebody who believes to have them is no answer: reading says what is wrong with what is
    // there.
    if (!place) place = first_with(has_python, roots);
    if (place) return *place;
    find_or_fetch(layout.format.name, options, [&](const std::string& root) {
        place = first_with(is_complete, {root});
        return place.has_value();
    });
    return *place;
}

// ---- what ---------------------------------------------------------------------------------------------------------

struct CifarFiles {
    std::map<std::string, CifarImages> images;
    std::vector<std::string> class_names, superclass_names;
};

/// The largest contents of a file with this name; 0 for files that are none of the set's.
uint64_t max_bytes_of(const Layout& layout, const std::string& name) {
    const auto data = layout.data_files();
    if (std::find(data.begin(), data.end(), name) != data.end()) {
        return kMaxCifarRecords * layout.format.record_bytes();
    }
    return !name.empty() && (name == layout.class_names || name == layout.superclass_names) ? kMaxNamesBytes : 0;
}

void add_file(const Layout& layout, const std::string& name, const std::string& path, std::vector<uint8_t> bytes,
              CifarFiles& files) {
    const CifarFormat& format = layout.format;
    if (name == layout.class_names) {
        files.class_names = parse_class_names(bytes, path, format.n_classes);
    } else if (name == layout.superclass_names) {
        files.superclass_names = parse_class_names(bytes, path, format.n_superclasses);
    } else {
        files.images.emplace(name, parse_cifar(std::move(bytes), path, format));
    }
}

CifarFiles read_folder(const Layout& layout, const Place& place) {
    const std::string python = n_data_files(layout, place) == 0 ? python_file(layout, place) : "";
    if (!python.empty()) refuse_pickle(python, layout.format);
    CifarFiles files;
    auto names = layout.data_files();
    for (const std::string& name : {layout.class_names, layout.superclass_names}) {
        if (!name.empty()) names.push_back(name);
    }
    for (const std::string& name : names) {
        const std::string path = find_file(place.path, name);
        if (!path.empty()) add_file(layout, name, path, read_maybe_gzip(path, max_bytes_of(layout, name)), files);
    }
    return files;
}

CifarFiles read_archive(const Layout& layout, const std::string& path) {
    CifarFiles files;
    GzipReader in(path);
    TarReader tar(in, kMaxArchiveBytes);
    std::map<std::string, int> seen;
    while (tar.next()) {
        const std::string& name = tar.name();
        const std::string member = path + "/" + name;
        const auto& python = layout.python_files;
        if (std::find(python.begin(), python.end(), name) != python.end() && begins_as_pickle(tar.read(2))) {
            refuse_pickle(member, layout.format);
        }
        const uint64_t max_bytes = max_bytes_of(layout, name);
        if (max_bytes == 0) continue;
        if (seen[name]++ > 0) throw DataError("DUP", member, "", "is in the archive twice");
        if (tar.size() > max_bytes) {
            throw DataError(
                "LIMIT", member, "",
                "has " + std::to_string(tar.size()) + " bytes; at most " + std::to_string(max_bytes) + " are accepted");
        }
        add_file(layout, name, member, tar.read(tar.size()), files);
    }
    return files;
}

void check_complete(const Layout& layout, const Place& place, const CifarFiles& files) {
    std::string missing;
    for (const std::string& name : layout.data_files()) {
        if (!files.images.contains(name)) missing += (missing.empty() ? "" : ", ") + name;
    }
    if (missing.empty()) return;
    throw DataError(
        "MISSING", place.path, "",
        "holds no " + missing + "; " + layout.format.title + " needs " +
            (layout.train.size() > 1 ? layout.train.front() + " to " + layout.train.back() : layout.train.front()) +
            " and " + layout.test + ". To fetch all of it: data/fetch.sh " + layout.format.name);
}

/// The same file twice is a mistake that would only show in the results; whoever wants it may have it.
void warn_of_twins(const Layout& layout, const Place& place, const CifarFiles& files) {
    std::map<uint64_t, std::string> first_with;
    for (const std::string& name : layout.data_files()) {
        const auto [twin, is_new] = first_with.emplace(files.images.at(name).hash, name);
        if (is_new) continue;
        std::cerr << layout.format.name << ": warning: " << name << " holds the same records as " << twin->second
                  << " in " << place.path << std::endl;
    }
}

/// One list of all training images. A file's memory is given back as soon as it is copied.
CifarImages join_train(const Layout& layout, CifarFiles& files) {
    size_t n = 0;
    for (const std::string& name : layout.train) n += files.images[name].labels.size();
    CifarImages all = std::move(files.images[layout.train.front()]);
    all.images.values.reserve(n * 3072);
    for (size_t i = 1; i < layout.train.size(); i++) {
        const CifarImages part = std::move(files.images[layout.train[i]]);
        const auto append = [](auto& to, const auto& from) { to.insert(to.end(), from.begin(), from.end()); };
        append(all.images.values, part.images.values);
        append(all.labels, part.labels);
        append(all.superclasses, part.superclasses);
    }
    all.images.dims[0] = int64_t(n);
    return all;
}

}  // namespace

ImageSet load_cifar(const std::string& name, const DataOptions& options) {
    const bool is_coarse = name == "cifar-100-coarse";
    if (!is_coarse && name != kCifar10.name && name != kCifar100.name) {
        throw ValueError("load_cifar: no data set is named '" + name + "'");
    }
    const Layout& layout = layout_of(name == kCifar10.name ? kCifar10 : kCifar100);
    const Place place = find_place(layout, options);
    CifarFiles files = place.is_archive ? read_archive(layout, place.path) : read_folder(layout, place);
    check_complete(layout, place, files);
    warn_of_twins(layout, place, files);

    ImageSet out;
    out.name = name;
    Fnv1a hash;
    for (const std::string& file : layout.data_files()) {
        Fnv1a part;
        part.value = files.images[file].hash;
        hash.add(part.hex());
    }
    out.hash = hash.hex();
    out.n_classes = is_coarse ? layout.format.n_superclasses : layout.format.n_classes;
    out.class_names = std::move(is_coarse ? files.superclass_names : files.class_names);
    if (out.class_names.empty()) out.class_names = numbered_names(out.n_classes);
    out.n_official = kOfficialTrain;

    CifarImages train = join_train(layout, files), test = std::move(files.images[layout.test]);
    if (is_coarse) {
        train.labels = std::move(train.superclasses);
        test.labels = std::move(test.superclasses);
    }
    const int64_t n_train = train.images.dims[0], n_test = test.images.dims[0];
    out.source = std::string(layout.format.title) + " in binary records" +
                 (is_coarse ? ", its 20 superclasses as labels, " : ", ") + std::to_string(n_train) + " training and " +
                 std::to_string(n_test) + " test images";
    if (n_train != kOfficialTrain || n_test != kOfficialTest) {
        out.source += " (not all of the official 50000 and 10000)";
    }
    out.source += ", from " + place.path;
    out.train = make_split(train, limited_ids(n_train, options.train_limit));
    out.test = make_split(test, limited_ids(n_test, options.test_limit));
    return out;
}

}  // namespace koine
