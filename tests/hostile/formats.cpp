#include "tests/hostile/formats.h"

namespace koine::testing {

const std::vector<Format>& formats() {
    static const std::vector<Format> all = [] {
        const char* wanted = std::getenv("KOINE_HOSTILE_FORMAT");
        std::vector<Format> list;
        for (const auto& part :
             {image_formats(), text_formats(), word_formats(), weight_formats(), tokenizer_formats(), run_formats()}) {
            for (const Format& format : part) {
                if (!wanted || format.name.find(wanted) != std::string::npos) list.push_back(format);
            }
        }
        return list;
    }();
    return all;
}

}  // namespace koine::testing
