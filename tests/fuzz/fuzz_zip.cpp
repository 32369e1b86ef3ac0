// Fuzz target: zip archives. The first byte of the input says whether checksums are made right, the rest is the file,
// all of whose entries are read.
// A DataError is the right answer to a damaged archive. Every other exception, and whatever the sanitizers see, is a
// finding. What is accepted must keep the promises of zip.h.
#include "data/zip.h"

#include "tests/fuzz/zip_repair.h"

using namespace koine;
using namespace koine::testing;

namespace {

void check(const ZipDirectory& directory, uint64_t file_bytes) {
    must(!directory.entries().empty() && directory.entries().size() <= kMaxZipEntries);
    uint64_t end = 0, n_contents = 0;
    for (const ZipEntry& entry : directory.entries()) {  // in the order of the file, one behind the other
        must(entry.data_offset >= end + 30 && entry.packed_size <= file_bytes);
        end = entry.data_offset + entry.packed_size;
        n_contents += entry.size;
        must(!entry.name.empty() && entry.name.size() <= kMaxZipNameBytes && entry.name[0] != '/');
        must(("/" + entry.name + "/").find("/../") == std::string::npos && entry.name.find('\\') == std::string::npos);
        must(directory.find(entry.name) == &entry);
    }
    must(end + 22 <= file_bytes && !exceeds_expansion(n_contents, file_bytes));
    must(directory.find("no such name\n") == nullptr);
}

void read(ByteSpan bytes) {
    const std::string path = fuzz_file(bytes);
    const InputFile file(path);
    const ZipDirectory directory(file, path);
    check(directory, bytes.size());
    for (const ZipEntry& entry : directory.entries()) {
        try {
            const std::vector<uint8_t> contents = read_entry(file, path, entry, 1 << 20);
            must(contents.size() == entry.size);
            must(uint32_t(crc32_z(0, contents.data(), contents.size())) == entry.crc);
            std::vector<uint8_t> again(contents.size());  // in two steps, and some of it stepped over
            ZipEntryReader reader(file, path, entry, true);
            reader.read(std::span(again).first(again.size() / 3));
            reader.skip(again.size() / 2 - again.size() / 3);
            reader.read(std::span(again).subspan(again.size() / 2));
            reader.finish();
            must(std::equal(again.begin() + std::ptrdiff_t(again.size() / 2), again.end(),
                            contents.begin() + std::ptrdiff_t(contents.size() / 2)));
        } catch (const DataError&) {  // the others can be read
        }
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    const ByteSpan rest(data + 1, size - 1);
    try {
        if (data[0] & 1) {
            read(repaired_zip(rest));
        } else {
            read(rest);
        }
    } catch (const DataError&) {
    }
    return 0;
}
