// Hand-written assembly in libcrypto: stack pointers kept in memory, frames without names.
#include <openssl/evp.h>
#include <string.h>

int main(void) {
    unsigned char data[512], digest[64];
    unsigned int length;
    memset(data, 7, sizeof data);
    const char *names[] = {"SHA1", "SHA256", "SHA512", "MD5"};
    for (int i = 0; i < 4; i++) {
        EVP_Digest(data, sizeof data, digest, &length, EVP_get_digestbyname(names[i]), 0);
    }
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    EVP_EncryptInit_ex(context, EVP_aes_128_cbc(), 0, data, data);
    int count;
    EVP_EncryptUpdate(context, data, &count, data, 256);
    EVP_CIPHER_CTX_free(context);
    return 0;
}
