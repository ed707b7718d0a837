// A policy's condition: a boolean expression over the root's row, checked once and stored with its names
// resolved.
#pragma once

#include "pg/owner.hpp"

namespace privacy_scan::retention
{

// Parses the text as one expression over the columns of the root, in the caller's search_path but as the
// root's owner, and returns it as SQL over the alias t in which every name is qualified. Errors: those of the
// parser, 42601 more than one expression, 42804 not boolean, 0A000 sub-select, 42803 aggregate, 42P17
// volatile function.
std::string compile_condition(const pg::OwnedTable &root, const std::string &condition);

// The same over the columns of any relation, with the caller's rights throughout: for what the caller alone
// runs.
std::string compile_condition_as_caller(Oid relid, const std::string &condition);

// Whether a condition that was compiled calls a function of somebody's own that is not IMMUTABLE: it may look at
// other rows, so that its answer is another one from statement to statement. Within OwnerScope.
bool may_look_elsewhere(Oid relid, const std::string &compiled);

} // namespace privacy_scan::retention
