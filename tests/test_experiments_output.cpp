// What an experiment shows: tables, progress, images, charts, the report.
#include <fcntl.h>
#include <png.h>
#include <pty.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "experiments/common/chart.h"
#include "experiments/common/font.h"
#include "experiments/common/gnuplot.h"
#include "experiments/common/image.h"
#include "experiments/common/progress.h"
#include "experiments/common/report.h"
#include "experiments/common/table.h"
#include "tests/catch.h"
#include "tests/experiments_common.h"

using namespace koine;
using namespace koine::testing;
namespace fs = std::filesystem;

namespace {

// A pseudo terminal in the place of stderr while it lives.
class Terminal {
public:
    explicit Terminal(unsigned short columns) : before(dup(2)) {
        winsize size = {24, columns, 0, 0};
        int inner = -1;
        if (openpty(&outer, &inner, nullptr, nullptr, &size) != 0) throw Error("no pseudo terminal");
        fcntl(outer, F_SETFL, O_NONBLOCK);
        dup2(inner, 2);
        close(inner);
    }
    ~Terminal() {
        dup2(before, 2);
        close(before);
        close(outer);
    }
    Terminal(const Terminal&) = delete;
    Terminal& operator=(const Terminal&) = delete;

    std::string text() const {
        std::string all;
        char chunk[1024];
        for (ssize_t n; (n = read(outer, chunk, sizeof chunk)) > 0;) all.append(chunk, static_cast<size_t>(n));
        return all;
    }

private:
    int before, outer = -1;
};

// How often the bar asked for values.
int train_two_epochs(bool is_quiet) {
    Progress progress(is_quiet, 2, 100);
    int n_asked = 0;
    const auto loss = [&](double value) { return [&n_asked, value] { return n_asked++, Values{{"loss", value}}; }; };
    for (int64_t epoch = 1; epoch <= 2; ++epoch) {
        progress.start("relative-0", epoch, 10);
        progress.step(50, loss(0.5));
        usleep(120'000);  // longer than the interval between two drawings
        progress.step(50, loss(0.25));
        progress.done({{"loss", 0.375}, {"mse", 0.00001}});
    }
    return n_asked;
}

Image decode_png(const std::string& bytes) {
    png_image png = {};
    png.version = PNG_IMAGE_VERSION;
    REQUIRE(png_image_begin_read_from_memory(&png, bytes.data(), bytes.size()) != 0);
    png.format = PNG_FORMAT_RGB;
    Image image(static_cast<int>(png.width), static_cast<int>(png.height));
    REQUIRE(png_image_finish_read(&png, nullptr, image.rgb.data(), 0, nullptr) != 0);
    return image;
}

Colour at(const Image& image, int x, int y) {
    const uint8_t* pixel = &image.rgb[static_cast<size_t>(y * image.width + x) * 3];
    return {pixel[0], pixel[1], pixel[2]};
}

bool is_grey(const Image& image, int x, int y, int level) {
    const Colour c = at(image, x, y);
    return c.r == level && c.g == level && c.b == level;
}

size_t count_of(const std::string& text, const std::string& part) {
    size_t n = 0;
    for (size_t i = text.find(part); i != std::string::npos; i = text.find(part, i + 1)) ++n;
    return n;
}

// mentions() without printing a whole picture when it fails.
bool holds(const std::string& svg, const std::string& part) { return svg.find(part) != std::string::npos; }

bool has_gnuplot() {
    const Capture errors(2);
    return !run_gnuplot("print 1\nset terminal svg\nplot x\n").empty();
}

}  // namespace

TEST_CASE("numbers and times are written as people read them", "[experiments]") {
    CHECK(fixed(0.00531, 4) == "0.0053");
    CHECK(fixed(19.6, 0) == "20");
    CHECK(fixed(0.00001, 4) == "1.0e-05");  // not 0.0000
    CHECK(fixed(0, 4) == "0.0000");
    CHECK(fixed(std::nan(""), 2) == "nan");
    CHECK(fixed(1e300, 1).size() == 303);
    CHECK(std::stof(nine_digits(0.1f)) == 0.1f);
    CHECK(duration(0) == "0:00");
    CHECK(duration(0.2) == "0:01");
    CHECK(duration(725) == "12:05");
    CHECK(duration(3723) == "1:02:03");
    CHECK(duration(std::numeric_limits<double>::infinity()) == "?");
    CHECK(without_controls("a\033]0;x\007b\nc\xc2\x9b"
                           "d\177\xc3\xa9\xc2") == "a\ufffd]0;x\ufffdb\nc\ufffdd\ufffd\xc3\xa9\xc2");
    Table words("words", {"word"});
    words.add({"\033[2J"}).note("\033[31m");
    CHECK(words.text().find('\033') == std::string::npos);
    CHECK(escape_html("<a href=\"x\">&'") == "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
}

TEST_CASE("a table aligns its columns and shows the same cells as HTML", "[experiments]") {
    Table table("Errors <1>", {"kind", "own", "n"});
    table.add({"absolute", 0.0053, 500}).add({"relative & more", cell_of({0.5, 0.012}, 2), "-"});
    table.add({"c", Cell(19.55f, 1), 7});
    table.note("a < b");
    CHECK(table.text() ==
          "Errors <1>\n"
          "kind                     own    n\n"
          "---------------  -----------  ---\n"
          "absolute              0.0053  500\n"
          "relative & more  0.50 ± 0.01    -\n"
          "c                       19.5    7\n"
          "a < b\n");
    CHECK(cell_of({0.5, 1e-6}, 3).text == "0.500 ± 0.000");
    CHECK(cell_of({1e-5, 2e-6}, 3).text == "1.0e-05 ± 2.0e-06");
    const std::string html = table.html();
    CHECK(mentions(html, "<caption>Errors &lt;1&gt;</caption>"));
    CHECK(mentions(html, "<td>relative &amp; more</td><td class=\"number\">0.50 ± 0.01</td>"));
    CHECK(mentions(html, "<p class=\"note\">a &lt; b</p>"));
    CHECK_ERROR(table.add({"too", "few"}), ShapeError, "a row of 2 cells; want 3");
}

TEST_CASE("progress is one plain line per epoch when stderr is no terminal", "[experiments]") {
    const Capture errors(2);
    CHECK(train_two_epochs(false) == 0);  // to ask can mean to wait for a GPU
    const std::string text = errors.text();
    CHECK(count_of(text, "\n") == 2);
    CHECK(mentions(text, "relative-0  epoch  1/10  loss 0.3750  mse 1.0e-05  "));
    CHECK(mentions(text, " images/s  ETA 0:01\n"));
    CHECK(mentions(text, " images/s  ETA 0:00\n"));
    CHECK(text.find('\033') == std::string::npos);
    CHECK(text.find('\r') == std::string::npos);
}

TEST_CASE("progress says nothing when it is to be quiet", "[experiments]") {
    const Capture errors(2);
    CHECK(train_two_epochs(true) == 0);
    CHECK(errors.text().empty());
}

TEST_CASE("progress is a bar on a terminal, with colour unless NO_COLOR is set", "[experiments]") {
    const EnvironmentVariable kind("TERM", "xterm");
    for (const char* no_color : {static_cast<const char*>(nullptr), "1"}) {
        const EnvironmentVariable variable("NO_COLOR", no_color);
        std::string text;
        {
            const Terminal terminal(120);
            const int n_asked = train_two_epochs(false);
            CHECK(n_asked >= 2);  // once an epoch at least
            CHECK(n_asked <= 4);
            text = terminal.text();
        }
        CHECK(mentions(text, "\r\033[Krelative-0  epoch  1/10  ["));
        CHECK(mentions(text, "========================"));
        CHECK(mentions(text, "]  loss 0.2500  "));
        CHECK((text.find("\033[36m") == std::string::npos) == (no_color != nullptr));
        CHECK(count_of(text, "[=") + count_of(text, "[\033[36m=") <= 2);  // rate-limited: not every step is drawn
    }
    std::string narrow;
    {
        const Terminal terminal(30);
        train_two_epochs(false);
        narrow = terminal.text();
    }
    const size_t start = narrow.find("relative-0");
    CHECK(narrow.substr(start, narrow.find('\r', start) - start).size() <= 29);
}

TEST_CASE("the ETA leaves out what an earlier run has trained", "[experiments]") {
    const Capture errors(2);
    Progress progress(false, 2, 100);
    progress.skip(100);
    progress.start("relative-0", 2, 2);
    progress.step(100, [] { return Values{{"loss", 0.25}}; });
    progress.done({{"loss", 0.25}});
    CHECK(mentions(errors.text(), "ETA 0:00"));
}

TEST_CASE("the font has every printable letter, each different, blanks only for the blank", "[experiments]") {
    std::vector<std::string> shapes;
    for (char letter = ' '; letter <= '~'; ++letter) {
        std::string shape;
        for (int y = 0; y < kLetterHeight; ++y) {
            for (int x = 0; x < kLetterWidth; ++x) shape += has_ink(letter, x, y) ? '#' : '.';
            CHECK_FALSE(has_ink(letter, kLetterWidth - 1, y));  // the gap
        }
        CHECK((shape.find('#') == std::string::npos) == (letter == ' '));
        CHECK(std::find(shapes.begin(), shapes.end(), shape) == shapes.end());
        shapes.push_back(shape);
    }
    CHECK(has_ink('\xe9', 2, 6) == has_ink('?', 2, 6));
    CHECK(has_ink('\n', 2, 6) == has_ink('?', 2, 6));
    CHECK(text_width("abc") == 18);
}

TEST_CASE("a PNG holds the pixels that were given", "[experiments]") {
    const TemporaryFolder temporary;
    Image image(7, 5, {1, 2, 3});
    image.fill(2, 1, 3, 2, {250, 0, 9});
    image.fill(-5, -5, 6, 6, {7, 7, 7});  // what lies outside is left out
    image.fill(6, 4, 100, 100, {8, 8, 8});
    image.write(-20, -20, "text", 3, {0, 0, 0});
    write_png("a.png", image);
    const Image read = decode_png(content_of("a.png"));
    REQUIRE(read.width == 7);
    REQUIRE(read.height == 5);
    CHECK(read.rgb == image.rgb);
    CHECK(at(read, 2, 1).r == 250);
    CHECK(is_grey(read, 0, 0, 7));
    CHECK(is_grey(read, 6, 4, 8));
    CHECK(at(read, 5, 1).g == 2);
    CHECK_ERROR(write_png("missing/a.png", image), DataError, "cannot create a file beside it");
    CHECK_ERROR(encode_png(Image(0, 5)), Error, "png");
}

TEST_CASE("a grid shows every tile, enlarged, under its label", "[experiments]") {
    const real nan = std::numeric_limits<real>::quiet_NaN();
    // Two tiles of 1 x 2 pixels, then one.
    const Image grid = tile_grid({{"ab", {0, real(0.5), 1, 2}}, {"", {nan, -1}}}, 1, 2, 1, 4);
    const int left = 16 + text_width("ab") * 2 + 8, top = 16;
    CHECK(grid.width == left + 2 * 8 + 6 + 16);
    CHECK(grid.height == top + 2 * 4 + 6 + 16);
    CHECK(is_grey(grid, left, top, 0));
    CHECK(is_grey(grid, left + 3, top + 3, 0));
    CHECK(is_grey(grid, left + 4, top, 128));
    CHECK(is_grey(grid, left + 14, top, 255));
    CHECK(is_grey(grid, left + 19, top, 255));                           // 2 is clamped
    CHECK(is_grey(grid, left + 4, top + 10, 0));                         // so is -1
    CHECK(at(grid, left, top + 10).r > 2 * at(grid, left, top + 10).g);  // NaN is red
    bool has_label = false;
    for (int x = 16; x < left; ++x) has_label = has_label || !is_grey(grid, x, top + 2, 255);
    CHECK(has_label);

    const Image colour = tile_grid({{"", {1, 0, real(0.2)}}}, 1, 1, 3, 1);
    CHECK(at(colour, 24, 16).r == 255);
    CHECK(at(colour, 24, 16).b == 51);
    CHECK(tile_grid({}, 28, 28, 1).height > 0);
    CHECK_ERROR(tile_grid({{"own", {1, 2, 3}}}, 1, 2, 1), ShapeError, "row 'own' has 3 numbers; want [N, 1, 2, 1]");
    CHECK_ERROR(tile_grid({}, 28, 28, 2), ShapeError, "want 1 or 3 channels");
    CHECK_ERROR(tile_grid({}, 0, 28, 1), ShapeError, "[N, 0, 28, 1]");
}

TEST_CASE("by_class splits points by their label", "[experiments]") {
    const std::vector<real> points = {0, 1, 2, 3, 4, 5};
    const std::vector<int32_t> labels = {1, 0, 1};
    const std::vector<Series> series = by_class(points, labels, {"zero", "one"});
    REQUIRE(series.size() == 2);
    CHECK(series[0].x == std::vector<double>{2});
    CHECK(series[1].x == std::vector<double>{0, 4});
    CHECK(series[1].y == std::vector<double>{1, 5});
    CHECK(series[1].name == "one");
    CHECK_ERROR(by_class(points, labels, {"zero"}), ValueError, "label 1 for 1 names");
    const std::span<const real> two = std::span(points).first(4);
    CHECK_ERROR(by_class(two, labels, {"zero", "one"}), ShapeError, "4 numbers, 3 labels");
}

TEST_CASE("charts refuse series and matrices that do not fit", "[experiments]") {
    CHECK_ERROR(line_chart("a.svg", {}), ShapeError, "no panels");
    CHECK_ERROR(matrix_chart("a.svg", {}), ShapeError, "no panels");
    const Panel uneven = {"t", "", "", {{"s", {1, 2}, {1}}}};
    CHECK_ERROR(line_chart("a.svg", {uneven}), ShapeError, "series 's' has 2 x and 1 y");
    CHECK_ERROR(scatter_chart("a.svg", {uneven}), ShapeError, "series 's' has 2 x and 1 y");
    CHECK_ERROR(matrix_chart("a.svg", {{"m", {"r"}, {"a", "b"}, {{1}}}}), ShapeError, "the matrix 'm'");
    CHECK_ERROR(matrix_chart("a.svg", {{"m", {}, {}, {}}}), ShapeError, "the matrix 'm'");
}

TEST_CASE("without gnuplot there is no chart, one notice and no failure", "[experiments]") {
    const TemporaryFolder temporary;
    const EnvironmentVariable path("PATH", temporary.path.c_str());
    const Capture errors(2);
    const Panel panel = {"t", "x", "y", {{"s", {1, 2}, {1, 2}}}};
    CHECK(line_chart("a.svg", {panel}).empty());
    CHECK(scatter_chart("a.svg", {panel}).empty());
    CHECK(matrix_chart("a.svg", {{"m", {"r"}, {"c"}, {{1}}}}).empty());
    CHECK_FALSE(fs::exists("a.svg"));
    CHECK(errors.text() == "note: gnuplot is not installed, so there will be no charts\n");
    Report report("t", "i");
    report.add_figure("", "no picture");
    report.write("report.html");
    CHECK(content_of("report.html").find("<figure>") == std::string::npos);
}

TEST_CASE("a gnuplot that fails costs the chart and says why", "[experiments]") {
    const TemporaryFolder temporary;
    write_text("gnuplot", "#!/bin/sh\necho 'line 0: too old' >&2\nexit 1\n");
    fs::permissions("gnuplot", fs::perms::owner_all);
    const EnvironmentVariable path("PATH", temporary.path.c_str());
    const Capture errors(2);
    CHECK(line_chart("a.svg", {{"t", "x", "y", {{"s", {1, 2}, {1, 2}}}}}).empty());
    CHECK(mentions(errors.text(), "note: gnuplot could not draw a chart: line 0: too old"));
}

TEST_CASE("charts are drawn, whatever is in their words and numbers", "[experiments]") {
    if (!has_gnuplot()) SKIP_TEST("gnuplot is not installed");
    const TemporaryFolder temporary;
    const Capture errors(2);
    const double nan = std::nan(""), infinity = std::numeric_limits<double>::infinity();
    const std::string nasty = "it's `touch broken` $(touch broken) 100%d \"q\" \\n {/Bold x}_1 @x\n<b>&";

    SECTION("lines") {
        const Series own = {"own", {1, 2, 3}, {0.5, 0.2, 0.1}}, gap = {"other", {1, 2}, {0.4, nan}};
        const Series infinite = {nasty, {1}, {infinity}}, empty = {"", {}, {}}, negative = {"negative", {1}, {-1}};
        const Panel plain = {"loss", "epoch", "MSE", {own, gap}, true};
        const Panel odd = {nasty, nasty, nasty, {infinite, empty, negative}, true};
        CHECK(line_chart("a.svg", {plain, odd, {"empty", "x", "y", {}}}) == "a.svg");
        const std::string svg = content_of("a.svg");
        CHECK(holds(svg, ">own<"));
        CHECK(holds(svg, ">epoch<"));
        CHECK(holds(svg, "> 0.2<"));  // the axis of a short logarithmic range has numbers
        CHECK(holds(svg, "`touch broken` $(touch broken) 100%d"));
        CHECK(holds(svg, "{/Bold x}_1 @x &lt;b>&amp;"));
    }
    SECTION("scatter") {
        std::vector<Series> classes;
        for (int c = 0; c < 12; ++c) classes.push_back({std::to_string(c) + nasty, {0.0 + c, 1, nan}, {1, 2, 3}});
        const Panel bare = {"absolute, model A", "", "", classes}, constant = {"one point", "x", "y", {{"", {2}, {2}}}};
        CHECK(scatter_chart("a.svg", {bare, constant, bare, {"empty", "", "", {}}}) == "a.svg");
        CHECK(holds(content_of("a.svg"), ">absolute, model A<"));
        CHECK(count_of(content_of("a.svg"), "xlink:href='#gpPt6'") >= 2 * 24 + 1);
    }
    SECTION("matrix") {
        const MatrixPanel plain = {
            "relative", {"encoder 0", "100%"}, {"decoder 0", nasty}, {{0.021, 1}, {nan, infinity}}};
        CHECK(matrix_chart("a.svg", {plain, {"equal", {"r"}, {"c"}, {{2}}, 0}}) == "a.svg");
        const std::string svg = content_of("a.svg");
        for (const char* words : {">0.021<", ">1.000<", ">nan<", ">inf<", ">2<", ">encoder 0<", ">100%<"}) {
            CHECK(holds(svg, words));
        }
        CHECK(holds(svg, "100%d"));
    }
    CHECK(errors.text().empty());
    CHECK_FALSE(fs::exists("broken"));
}

TEST_CASE("a report is one HTML file that needs nothing else, and everything in it is text", "[experiments]") {
    const TemporaryFolder temporary;
    Image image(1, 1, {255, 0, 0});
    write_png("a.png", image);
    write_text("b.svg", "<svg/>");
    write_text("empty.svg", "");
    Report report("Stitching <script>", "Section 2 & more");
    report.add_heading("<i>Results</i>").add_text("a < b").add(Table("t<", {"c<"}).add({"v<"}));
    report.add_figure("a.png", "red \"dot\" <p>").add_figure("b.svg", "svg").add_figure("empty.svg", "empty");
    report.add_details("Settings", {{"lr<", "0.1>"}});
    report.write("report.html");
    const std::string html = content_of("report.html");
    CHECK(html.rfind("<!doctype html>", 0) == 0);
    CHECK(mentions(html, "<title>Stitching &lt;script&gt;</title>"));
    CHECK(mentions(html, "<h2>&lt;i&gt;Results&lt;/i&gt;</h2>"));
    CHECK(mentions(html, "<td>v&lt;</td>"));
    CHECK(mentions(html, "alt=\"red &quot;dot&quot; &lt;p&gt;\" src=\"data:image/png;base64,iVBORw0KGgo"));
    CHECK(mentions(html, "src=\"data:image/svg+xml;base64,PHN2Zy8+\""));  // <svg/>
    CHECK(mentions(html, "base64,\""));
    CHECK(mentions(html, "<dt>lr&lt;</dt><dd>0.1&gt;</dd>"));
    CHECK(mentions(html, "name=\"viewport\""));
    CHECK(mentions(html, "prefers-color-scheme: dark"));
    CHECK(html.find("<script") == std::string::npos);
    CHECK(html.find("http") == std::string::npos);
    CHECK_ERROR(report.add_figure("missing.png", "c"), DataError, "missing.png: cannot be opened");
    CHECK_ERROR(report.add_figure("a.gif", "c"), DataError, "expected a .png or a .svg");
    CHECK_ERROR(report.write("missing/report.html"), DataError, "cannot create a file beside it");

    // The padding of base64: one, two and no missing bytes.
    for (const auto& [bytes, text] : {std::pair{"a", "YQ=="}, std::pair{"ab", "YWI="}, std::pair{"abc", "YWJj"}}) {
        write_text("c.svg", bytes);
        Report small("t", "i");
        small.add_figure("c.svg", "c").write("small.html");
        CHECK(mentions(content_of("small.html"), std::string("base64,") + text + "\""));
    }
}
