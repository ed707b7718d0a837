// An erasure: families go from wherever they lie, in one transaction.
#pragma once

#include "retention/hold.hpp"

namespace privacy_scan::erase
{

// What went, or would, of one relation in one place.
struct Erased {
    std::string place; // live, table archive, file, missing file, damaged file
    Oid relid;         // the live relation
    std::string archive, file;
    std::int64_t rows = 0, bytes = 0;
    std::int64_t erasure = 0; // an earlier one that is to take it, of a file that is back; 0: this one
};

struct Erasure {
    std::int64_t id = 0; // in the ledger; 0: nothing was entered
    std::vector<Erased> parts;
};

// What is asked for.
struct Request {
    std::string condition;  // compiled, over the alias t
    retention::RootIds ids; // the same, where it was given by ids; otherwise empty
    std::string reason;
    bool is_trial;
    bool skips_missing; // files; see erase_missing.hpp
};

// Erases the families of the roots that meet a condition, children before parents, in the caller's transaction: live rows,
// those of table archives and those of files, which are
// written anew. The ledger of archives then says what the archives hold still, that of erasures what went and
// why. With is_trial all but the files' writing is done and rolled back: the parts are exactly what would go.
// Before, files that earlier erasures passed over and that are back lose what these were to take.
//
// How nothing is missed: see erase_places.hpp; the roots are locked FOR UPDATE first, so that no child can
// come, then what is referred to further down; before live rows go, none that refers to them may be left.
//
// Errors: 25001 not READ COMMITTED; 55000 where a hold keeps a root, a trigger a row, or archived rows lack a key
// that their live relation cannot lack; 58P01, XX001 a file that is missing or damaged; 55P03; those of
// lock_places(), and what the relations' constraints say.
Erasure erase_families(pg::Spi &spi, Oid root, const Request &request);

} // namespace privacy_scan::erase
