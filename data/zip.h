// Zip archives, as far as torch.save needs them: which files are inside and where, and the bytes of one of them from
// front to back.
//
//   entries      a local header (30 bytes, name, extra fields) and the contents, stored or deflated; sometimes a
//                descriptor behind them that repeats checksum and sizes
//   directory    a central header (46 bytes, name, extra fields) for each entry
//   end          where the directory is; before it, for 64-bit numbers, the zip64 end record and its locator
// Source: PKWARE's APPNOTE.TXT 6.3.
//
// Programs that read zip files disagree about archives that contradict themselves, and attackers use that. So what is
// said twice must agree, every byte belongs to exactly one of the parts above, the first entry begins at byte 0 and the
// end record, which has no comment, at the 22nd byte from the end. Not here: writing, encryption, archives on several
// disks, compression other than DEFLATE.
#pragma once
#include <zlib.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data/bytes.h"

namespace koine {

/// Limits of what is accepted. Together, the contents may have 8 times the size of the archive, and 4 MB: weights do
/// not compress well, and who promises more wants to fill the memory.
inline constexpr uint64_t kMaxZipEntries = 100'000;
inline constexpr uint64_t kMaxZipNameBytes = 1024;
inline constexpr uint64_t kMaxExpansion = 8;
inline constexpr uint64_t kMaxExpansionSlack = 4 << 20;

/// Whether n_bytes are more than a file of that size may stand for.
inline bool exceeds_expansion(uint64_t n_bytes, uint64_t file_bytes) {
    return n_bytes > kMaxExpansionSlack && (n_bytes - kMaxExpansionSlack) / kMaxExpansion > file_bytes;
}

/// Bytes in a file that can be read as contents: one file of an archive, or any other stretch without a checksum.
struct ZipEntry {
    std::string name;          ///< relative, without "..": still never used as a path
    uint64_t size = 0;         ///< of the contents
    uint64_t packed_size = 0;  ///< in the file
    uint64_t data_offset = 0;  ///< of the first packed byte
    uint32_t crc = 0;          ///< CRC-32 of the contents
    bool is_deflated = false;
};

/// What an archive holds.
class ZipDirectory {
public:
    /// Reads the directory and the local headers of `file`; `path` is its name for messages. Throws DataError: IO;
    /// MAGIC for what is no archive; TRUNC; OFFSET for parts that overlap, leave holes or lie outside the file; UNSAFE
    /// for encryption, for headers that disagree, for names that leave the folder; DUP, LIMIT, DTYPE (compression).
    ZipDirectory(const InputFile& file, const std::string& path);

    /// In the order of the file; at least one.
    const std::vector<ZipEntry>& entries() const { return list; }
    /// Null when there is none.
    const ZipEntry* find(std::string_view name) const;

private:
    std::vector<ZipEntry> list;
    std::vector<size_t> by_name;
};

/// The contents of one entry, from front to back, straight to where they belong.
class ZipEntryReader {
public:
    /// All must outlive this. With `checks_crc_` every byte is looked at, those that are skipped, too, and finish()
    /// compares the checksum.
    ZipEntryReader(const InputFile& file_, const std::string& path_, const ZipEntry& entry_, bool checks_crc_);
    ~ZipEntryReader();
    ZipEntryReader(const ZipEntryReader&) = delete;
    ZipEntryReader& operator=(const ZipEntryReader&) = delete;

    /// The next bytes. Throws DataError: IO; TRUNC when the file or the deflated data end too early; VALUE for damaged
    /// deflated data; ValueError beyond the entry's size.
    void read(std::span<uint8_t> out);
    void skip(uint64_t n_bytes);
    /// To be called once, at any place: reads the rest. Throws DataError(VALUE) if the checksum is wrong, LIMIT when
    /// deflated data go on behind the entry's size.
    void finish();

private:
    int inflate_some(std::span<uint8_t>& out);
    [[noreturn]] void fail(const char* kind, const std::string& problem) const;

    const InputFile& file;
    const std::string& path;
    const ZipEntry& entry;
    const bool checks_crc;
    uint64_t position = 0;         // in the contents
    uint64_t packed_position = 0;  // in the packed bytes
    uint32_t crc = 0;
    std::unique_ptr<z_stream> stream;  // null for a stored entry
    std::vector<uint8_t> packed;       // what the stream reads
};

/// The whole contents, checked; DataError(LIMIT) when they are longer than max_bytes.
std::vector<uint8_t> read_entry(const InputFile& file, const std::string& path, const ZipEntry& entry,
                                uint64_t max_bytes);

}  // namespace koine
