// SHA-256 by the piece, as sha256sum computes it, by OpenSSL's libcrypto. Pure.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

struct evp_md_ctx_st;

namespace privacy_scan::archive_file
{

class Sha256
{
  public:
    Sha256(); // std::bad_alloc where there is no memory, or no SHA-256
    void add(const char *data, std::size_t size);
    std::string finish(); // in hexadecimal; nothing is added after it

  private:
    struct Free {
        void operator()(evp_md_ctx_st *state) const;
    };
    std::unique_ptr<evp_md_ctx_st, Free> state_;
};

} // namespace privacy_scan::archive_file
