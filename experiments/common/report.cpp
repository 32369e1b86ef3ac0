#include "experiments/common/report.h"

#include <string_view>

#include "data/bytes.h"
#include "data/files.h"
#include "experiments/common/text.h"
#include "tensor/error.h"

namespace koine {
namespace {

// RFC 4648, section 4.
std::string base64(std::string_view bytes) {
    constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    text.reserve((bytes.size() + 2) / 3 * 4);
    for (size_t i = 0; i < bytes.size(); i += 3) {
        const auto byte = [&](size_t k) -> unsigned {
            return i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0;
        };
        const unsigned group = byte(0) << 16 | byte(1) << 8 | byte(2);
        for (const unsigned shift : {18u, 12u, 6u, 0u}) text += kDigits[group >> shift & 63];
    }
    const size_t n_missing = (3 - bytes.size() % 3) % 3;
    return text.replace(text.size() - n_missing, n_missing, n_missing, '=');
}

constexpr const char* kStyle = R"(
:root { color-scheme: light dark;
  --ink: #1d1f24; --soft: #5d6470; --paper: #ffffff; --line: #d9dde3; --shade: #f4f6f8; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e6ea; --soft: #9aa3b0; --paper: #16181d; --line: #363b44; --shade: #1f2229; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 62rem; background: var(--paper); color: var(--ink);
       font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .5rem; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .75rem; }
.intro, .note, figcaption { color: var(--soft); }
.intro { font-size: 1.05rem; margin: 0 0 2rem; max-width: 46rem; }
p { max-width: 46rem; }
.note { font-size: .9rem; margin: .25rem 0; }
.table { overflow-x: auto; margin: 1.5rem 0 .5rem; }
table { border-collapse: collapse; font-size: .95rem; }
caption { text-align: left; font-weight: 600; padding-bottom: .4rem; }
th, td { padding: .35rem 1.5rem .35rem 0; text-align: left; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { color: var(--soft); font-weight: 500; }
td.long { white-space: normal; min-width: 14rem; }
th:last-child, td:last-child { padding-right: 0; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
figure { margin: 2rem 0; }
figure img { display: block; max-width: 100%; height: auto; background: #fff; border: 1px solid var(--line);
             border-radius: 6px; }
figcaption { font-size: .9rem; margin-top: .5rem; max-width: 46rem; }
details { margin: .5rem 0; padding: .5rem .9rem; background: var(--shade); border-radius: 6px; }
summary { cursor: pointer; font-weight: 600; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1.25rem; margin: .6rem 0 .2rem;
     font-size: .9rem; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
)";

}  // namespace

Report::Report(const std::string& title_, const std::string& intro) : title(title_) {
    body = "<h1>" + escape_html(title) + "</h1>\n<p class=\"intro\">" + escape_html(intro) + "</p>\n";
}

Report& Report::add_heading(const std::string& words) {
    body += "<h2>" + escape_html(words) + "</h2>\n";
    return *this;
}

Report& Report::add_text(const std::string& paragraph) {
    body += "<p>" + escape_html(paragraph) + "</p>\n";
    return *this;
}

Report& Report::add(const Table& table) {
    body += table.html();
    return *this;
}

Report& Report::add_figure(const std::filesystem::path& image, const std::string& caption) {
    if (image.empty()) return *this;
    const std::string suffix = image.extension().string();
    if (suffix != ".png" && suffix != ".svg") throw DataError("DTYPE", image.string(), "", "expected a .png or a .svg");
    // As an image rather than inline: charts share ids, and nothing inside an <img> can run or load anything.
    const std::string type = suffix == ".png" ? "image/png" : "image/svg+xml";
    const std::string safe = escape_html(caption);
    body += "<figure><img alt=\"" + safe + "\" src=\"data:" + type + ";base64," + base64(read_text(image)) +
            "\">\n<figcaption>" + safe + "</figcaption></figure>\n";
    return *this;
}

Report& Report::add_details(const std::string& words, const std::vector<std::pair<std::string, std::string>>& pairs) {
    body += "<details><summary>" + escape_html(words) + "</summary>\n<dl>\n";
    for (const auto& [name, value] : pairs) {
        body += "<dt>" + escape_html(name) + "</dt><dd>" + escape_html(value) + "</dd>\n";
    }
    body += "</dl></details>\n";
    return *this;
}

void Report::write(const std::filesystem::path& path) const {
    write_file(path,
               "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
               "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>" +
                   escape_html(title) + "</title>\n<style>" + kStyle + "</style>\n</head>\n<body>\n" + body +
                   "</body>\n</html>\n");
}

}  // namespace koine
