// The catalogue of bad inputs and of promises, tests/catalogue.tsv: which row a check belongs to, where a test case has
// the ids of several.
//
// A test case says with its tags which rows it shows ([G6]). What its checks of errors verify (CHECK_ERROR,
// check_refused, comparisons of kind_of, CHECK_OK) counts for its row; where it has several rows of bad inputs, only
// what is verified while a CatalogueRow lives counts, and for that row.
#pragma once
#include <string>

namespace koine::testing {

class CatalogueRow {
public:
    explicit CatalogueRow(const std::string& id);
    ~CatalogueRow();
    CatalogueRow(const CatalogueRow&) = delete;
    CatalogueRow& operator=(const CatalogueRow&) = delete;

private:
    std::string before;
};

}  // namespace koine::testing
