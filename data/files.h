// Files written whole: a crash, a full disk or a second writer leaves the old file or the new one, never a mixture.
// Reading is bytes.h.
#pragma once
#include <filesystem>
#include <string>
#include <string_view>

namespace koine {

/// A file that appears under its name when it is complete. Until commit() it has another one in the same folder, and
/// goes if that never comes. A file that it replaces gives it its mode; a symbolic link stays one. All members throw
/// DataError(IO), with the old file as it was.
class AtomicFile {
public:
    explicit AtomicFile(const std::filesystem::path& path_);
    ~AtomicFile();
    AtomicFile(const AtomicFile&) = delete;
    AtomicFile& operator=(const AtomicFile&) = delete;

    void write(std::string_view bytes);
    /// Flushes the file to the disk, gives it its name, and flushes the folder.
    void commit();

private:
    [[noreturn]] void fail(const char* what) const;

    std::filesystem::path path, temporary;
    int descriptor = -1;
    bool is_committed = false;
};

/// The bytes as one AtomicFile.
void write_file(const std::filesystem::path& path, std::string_view bytes);

/// Puts the bytes at the end of a file, which is made if there is none. Throws DataError(IO); a part of them may then
/// be there.
void append_to_file(const std::filesystem::path& path, std::string_view bytes);

}  // namespace koine
