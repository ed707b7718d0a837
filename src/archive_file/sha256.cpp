// See sha256.hpp.
#include "archive_file/sha256.hpp"

#include <new>

#include <openssl/evp.h>

namespace privacy_scan::archive_file
{

namespace
{

void require(int is_done)
{
    if (!is_done)
        throw std::bad_alloc();
}

} // namespace

void Sha256::Free::operator()(evp_md_ctx_st *state) const
{
    EVP_MD_CTX_free(state);
}

Sha256::Sha256() : state_(EVP_MD_CTX_new())
{
    require(state_ && EVP_DigestInit_ex(state_.get(), EVP_sha256(), nullptr));
}

void Sha256::add(const char *data, std::size_t size)
{
    require(EVP_DigestUpdate(state_.get(), data, size));
}

std::string Sha256::finish()
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    require(EVP_DigestFinal_ex(state_.get(), digest, &size));
    std::string text;
    for (unsigned n = 0; n < size; ++n)
        text.append(1, "0123456789abcdef"[digest[n] >> 4]).append(1, "0123456789abcdef"[digest[n] & 15]);
    return text;
}

} // namespace privacy_scan::archive_file
