// From the records of a pickle to tensors; see torch_file.h.
#include "data/torch_file.h"

#include <algorithm>
#include <cstring>

#include "data/json.h"

namespace koine {
namespace {

constexpr size_t kMaxWarnings = 20;
constexpr size_t kMaxListed = 200;  // bytes of names in a message
constexpr size_t kBufferBytes = 1 << 16;

std::string str(uint64_t n) { return std::to_string(n); }

size_t count_tensors(const PickleDict& dict) {
    size_t n = 0;
    for (size_t i = 1; i < dict.values.size(); i += 2) n += std::holds_alternative<PickleTensor*>(dict.values[i]);
    return n;
}

// a * b as long as Shape can count it.
std::optional<uint64_t> mul_signed(uint64_t a, uint64_t b) {
    const auto product = mul_checked(a, b);
    return product && *product <= uint64_t(INT64_MAX) ? product : std::nullopt;
}

}  // namespace

void TorchFile::fail(const char* kind, const std::string& place, const std::string& problem) const {
    throw DataError(kind, path, place, problem);
}

void TorchFile::warn(const std::string& text) {
    if (odd.size() < kMaxWarnings) odd.push_back(text);
}

// ---- storages -----------------------------------------------------------------------------------------------------

bool TorchFile::is_known(const PickleStorage& storage) const {
    const auto found = storage_at.find(std::string(storage.key));
    if (found == storage_at.end()) return false;
    const Storage& known = storages[found->second];
    const std::string place = "storage " + shown(storage.key);
    if (known.dtype != storage.dtype) {
        fail("DTYPE", place,
             "is " + std::string(name_of(known.dtype)) + " in one place and " + std::string(name_of(storage.dtype)) +
                 " in another");
    }
    if (int64_t(known.numel) != storage.numel) {
        fail("SHAPE", place,
             "has " + str(known.numel) + " values in one place and " + std::to_string(storage.numel) + " in another");
    }
    return true;
}

void TorchFile::add_storage(const PickleStorage& storage, const ZipEntry& region, bool is_checked) {
    const uint64_t item = bytes_of(storage.dtype);
    if (storage.numel < 0 || mul_checked(uint64_t(storage.numel), item) != region.size) {
        fail("SHAPE", "storage " + shown(storage.key),
             "is said to have " + std::to_string(storage.numel) + " values of " + str(item) + " bytes, but " +
                 str(region.size) + " bytes are there");
    }
    storage_at[std::string(storage.key)] = storages.size();
    storages.push_back({storage.dtype, uint64_t(storage.numel), region, is_checked});
}

// ---- tensors ------------------------------------------------------------------------------------------------------

void TorchFile::add_tensors(const Pickle& pickle) {
    const auto* root = std::get_if<PickleDict*>(&pickle.root);
    if (!root) {
        fail("MISSING", "",
             std::string("holds ") + kind_of(pickle.root) + ", expected a dict of tensors (a state dict)");
    }
    const PickleDict& dict = count_tensors(**root) > 0 ? **root : wrapped_in(**root);
    const size_t n = count_tensors(dict);
    list.reserve(n);
    views.reserve(n);
    check_names(dict);
    for (size_t i = 0; i < dict.values.size(); i += 2) {
        const auto* name = std::get_if<std::string_view>(&dict.values[i]);
        const PickleValue& value = dict.values[i + 1];
        if (!name) {
            warn(std::string("an entry whose name is ") + kind_of(dict.values[i]) + " is not read");
            continue;
        }
        if (const auto* tensor = std::get_if<PickleTensor*>(&value)) {
            add_tensor(*name, **tensor);
        } else {
            warn("entry " + shown(*name) + " is " + kind_of(value) + ", no tensor: not read");
        }
    }
    for (const std::string_view name : dict.ignored_attributes) {
        if (name != "_metadata") warn("the attribute " + shown(name) + " of the state dict is not read");
    }
}

// Python keeps the last of two values of one key, and no writer makes two.
void TorchFile::check_names(const PickleDict& dict) const {
    std::vector<std::string_view> names;
    for (size_t i = 0; i < dict.values.size(); i += 2) {
        if (const auto* name = std::get_if<std::string_view>(&dict.values[i])) names.push_back(*name);
    }
    std::sort(names.begin(), names.end());
    const auto twin = std::adjacent_find(names.begin(), names.end());
    if (twin != names.end()) fail("DUP", "tensor " + shown(*twin), "occurs twice");
}

// The one dict of tensors in a dict that has none itself.
const PickleDict& TorchFile::wrapped_in(const PickleDict& root) {
    const PickleDict* found = nullptr;
    std::string found_name, others;
    for (size_t i = 0; i < root.values.size(); i += 2) {
        const auto* text = std::get_if<std::string_view>(&root.values[i]);
        const std::string name = text ? shown(*text) : kind_of(root.values[i]);
        const auto* inner = std::get_if<PickleDict*>(&root.values[i + 1]);
        if (inner && count_tensors(**inner) > 0) {
            if (found) {
                fail("VALUE", "",
                     "holds several dicts of tensors, " + found_name + " and " + name +
                         "; which one is meant? Save it alone");
            }
            found = *inner;
            found_name = name;
        } else if (others.size() < kMaxListed) {
            others += (others.empty() ? "" : ", ") + name;
        }
    }
    if (!found) fail("MISSING", "", "holds no tensors" + (others.empty() ? "" : "; it has " + others));
    warn("the tensors are those of the entry " + found_name + (others.empty() ? "" : "; not read: " + others));
    return *found;
}

// Nothing of what the pickle says about sizes and strides is believed: the values must lie inside the storage.
void TorchFile::add_tensor(std::string_view name, const PickleTensor& tensor) {
    const auto refuse = [&](const char* kind, const std::string& problem) {
        fail(kind, "tensor " + shown(name), problem);
    };
    View view;
    view.storage = storage_at.at(std::string(tensor.storage->key));
    const Storage& storage = storages[view.storage];
    const size_t rank = tensor.size.size();
    if (rank != tensor.stride.size()) {
        refuse("OFFSET", "has " + str(rank) + " extents and " + str(tensor.stride.size()) + " strides");
    }
    if (rank > Shape::kMaxRank) {
        refuse("LIMIT", "has " + str(rank) + " axes; at most " + str(Shape::kMaxRank) + " are accepted");
    }
    if (tensor.offset < 0) refuse("OFFSET", "begins before its storage");
    view.offset = uint64_t(tensor.offset);

    WeightEntry entry{std::string(name), storage.dtype, {}};
    std::optional<uint64_t> n_bytes = bytes_of(storage.dtype), last = view.offset;  // last: the furthest value shown
    for (size_t axis = 0; axis < rank; axis++) {
        if (tensor.size[axis] < 0 || tensor.stride[axis] < 0) refuse("OFFSET", "has a negative extent or stride");
        const uint64_t extent = uint64_t(tensor.size[axis]);
        view.strides[axis] = uint64_t(tensor.stride[axis]);
        entry.shape.append(tensor.size[axis]);
        n_bytes = mul_signed(*n_bytes, extent);
        const auto reach = mul_checked(extent == 0 ? 0 : extent - 1, view.strides[axis]);
        if (reach) last = add_checked(*last, *reach);
        if (!n_bytes || !reach || !last) refuse("OVERFLOW", "has extents and strides that 64 bits cannot count");
    }
    if (*n_bytes > 0 && *last >= storage.numel) {
        refuse("OFFSET", "reaches to value " + str(*last) + " of a storage that has " + str(storage.numel));
    }
    view.end = *last + 1;
    uint64_t in_order = 1;  // the stride of an axis if the values follow one another
    for (size_t axis = rank; axis-- > 0; in_order *= uint64_t(tensor.size[axis])) {
        if (tensor.size[axis] != 1 && view.strides[axis] != in_order) view.is_contiguous = false;
    }
    const auto sum = add_checked(n_shown, *n_bytes);
    if (!sum || exceeds_expansion(*sum, input.size())) {
        refuse("LIMIT", "is " + entry.shape.str() + ": with it, the tensors show more than " + str(kMaxExpansion) +
                            " times what the file holds");
    }
    n_shown = *sum;
    list.push_back(std::move(entry));
    views.push_back(view);
}

// ---- values -------------------------------------------------------------------------------------------------------

void TorchFile::read(size_t i, std::span<real> out) {
    require_length(i, out);
    if (out.empty()) return;
    const View& view = views[i];
    Storage& storage = storages[view.storage];
    ZipEntryReader in(input, path, storage.region, !storage.is_checked);
    in.skip(view.offset * bytes_of(storage.dtype));
    if (view.is_contiguous) {
        read_in_order(in, i, out);
    } else {
        read_strided(in, i, out);
    }
    if (storage.is_checked) return;
    in.finish();
    storage.is_checked = true;
}

void TorchFile::convert(size_t i, std::span<const uint8_t> bytes, std::span<real> out, size_t first) const {
    const DType dtype = list[i].dtype;
    const size_t n = bytes.size() / bytes_of(dtype), n_good = decode_values(dtype, bytes, out.subspan(first).data());
    if (n_good == n) return;
    fail("VALUE", "tensor " + shown(list[i].name),
         "value " + str(first + n_good) + " of type " + std::string(name_of(dtype)) + " cannot be held exactly");
}

// Values that follow one another: without a copy when they are what `real` is.
void TorchFile::read_in_order(ZipEntryReader& in, size_t i, std::span<real> out) const {
    const DType dtype = list[i].dtype;
    if (dtype == kRealDType) return in.read({reinterpret_cast<uint8_t*>(out.data()), out.size_bytes()});
    const size_t item = bytes_of(dtype), n_buffered = kBufferBytes / item;
    std::vector<uint8_t> buffer(std::min(out.size(), n_buffered) * item);
    for (size_t first = 0; first < out.size(); first += n_buffered) {
        const auto bytes = std::span(buffer).first(std::min(n_buffered, out.size() - first) * item);
        in.read(bytes);
        convert(i, bytes, out, first);
    }
}

// Transposed and otherwise strided tensors: the stretch of the storage that they span, then value by value.
void TorchFile::read_strided(ZipEntryReader& in, size_t i, std::span<real> out) const {
    const View& view = views[i];
    const Shape& shape = list[i].shape;
    const size_t item = bytes_of(list[i].dtype), n_buffered = kBufferBytes / item;
    std::vector<uint8_t> stretch((view.end - view.offset) * item), buffer(std::min(out.size(), n_buffered) * item);
    in.read(stretch);
    std::array<int64_t, Shape::kMaxRank> index{};
    uint64_t at = 0;  // of the value in `stretch`
    for (size_t first = 0; first < out.size(); first += n_buffered) {
        const size_t n = std::min(n_buffered, out.size() - first);
        for (size_t j = 0; j < n; j++) {
            std::memcpy(std::span(buffer).subspan(j * item).data(), std::span(stretch).subspan(at * item).data(), item);
            // The next index, as an odometer counts.
            for (size_t axis = size_t(shape.rank); axis-- > 0;) {
                at += view.strides[axis];
                if (++index[axis] < shape.d[axis]) break;
                at -= view.strides[axis] * uint64_t(shape.d[axis]);
                index[axis] = 0;
            }
        }
        convert(i, std::span(buffer).first(n * item), out, first);
    }
}

}  // namespace koine
