// What the test functions share: ways to fail, and a count of the C++ objects that are alive.
#pragma once

#include "pg/entry.hpp"

namespace boundary
{

// Raised by its constructor, lowered by its destructor. Zero after every call, or a destructor was skipped.
extern int live_objects;

class Counted
{
  public:
    Counted() { ++live_objects; }
    Counted(const Counted &) = delete;
    Counted &operator=(const Counted &) = delete;
    ~Counted() { --live_objects; }
};

// Fails in the way that kind names, from depth nested frames that hold counted objects. Returns where kind is
// "none".
void fail_deep(const std::string &kind, int depth);

std::string text_argument(FunctionCallInfo fcinfo, int number);

} // namespace boundary
