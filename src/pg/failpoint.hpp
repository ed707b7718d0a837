// Named points at which a test build (make PS_FAILPOINTS=1) ends, fails or waits: scripts/failpoints goes over
// all of them. In any other build they are nothing. A name is "path.step", after the step.
#pragma once

#ifdef PS_FAILPOINTS

namespace privacy_scan::pg
{

// Where privacy_scan.failpoint is "NAME:kill" the process kills itself, as kill -9 does, with "NAME:error" it
// fails with XX000, with "NAME:wait" it waits for the advisory lock 7073, which the test holds. "*:trace" names
// each in a NOTICE. Blue.
void failpoint(const char *name);

// Defines that setting. Red.
void define_failpoint();

} // namespace privacy_scan::pg

#define PS_FAILPOINT(name) ::privacy_scan::pg::failpoint(name)

#else

#define PS_FAILPOINT(name) static_cast<void>(0)

#endif
