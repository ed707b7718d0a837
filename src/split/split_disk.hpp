// Whether the disk has room for what a split or a merge writes. A full one stops the whole server.
#pragma once

#include "split/split_source.hpp"

namespace privacy_scan::split
{

std::string megabytes(std::int64_t bytes);

// What is free on the volume that the pieces come to.
std::int64_t free_for_pieces(pg::Spi &spi, const Stretch &stretch);

// About what the pieces take, less what they take already, and privacy_scan.split_disk_reserve, must be free
// on the volume of their tablespace. Why not, where it isn't.
std::optional<Refusal> refuse_for_disk(pg::Spi &spi, const Stretch &stretch);

// Error 53100.
void require_disk(pg::Spi &spi, const Stretch &stretch);

} // namespace privacy_scan::split
