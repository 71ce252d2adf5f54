/* RSA keys for the tests' tokens, SoftHSM's and Kryoptic's, in a tenth of the time; put before a program by LD_PRELOAD.
 *
 * OpenSSL 3.0 looks for primes as FIPS 186-4, B.3.6, has it, with a greatest common divisor in constant time for each candidate; its older
 * search tries each prime 64 times. That is a third to half a second for RSA-2048, of which a ceremony makes a dozen, and the tests tens of
 * thousands of ceremonies. This takes the calls of either, and sieves from a random number on. The token and all else is as it is; rehearsals
 * for people go without. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rsa.h>
#include <string.h>

enum { SIEVED = 1 << 14 };

/* Says which of the odd numbers from this one on, 2 apart, no small prime divides: 0 in the sieve. */
static void sieve(const BIGNUM *from, unsigned char *composite) {
    static unsigned char divisible[SIEVED];
    memset(composite, 0, SIEVED);
    for (unsigned small = 3; small < SIEVED; small += 2) {
        if (divisible[small])
            continue;
        for (unsigned multiple = 3 * small; multiple < SIEVED; multiple += 2 * small)
            divisible[multiple] = 1;
        /* The first place at which from + 2 * place is a multiple; (small + 1) / 2 is the inverse of 2. */
        unsigned long rest = (small - BN_mod_word(from, small)) % small;
        for (unsigned long place = rest * ((small + 1) / 2) % small; place < SIEVED; place += small)
            composite[place] = 1;
    }
}

/* A prime of so many bits, the two highest set, and itself less one, which the exponent, a prime, does not divide. Fermat's test to the base 2:
 * among random numbers of this size no composite that passes will ever be met, and such a key would not sign. */
static int prime(BIGNUM *p, BIGNUM *less_one, int bits, const BIGNUM *e, BN_CTX *context) {
    unsigned char composite[SIEVED];
    BIGNUM *power = BN_new();
    int found = 0, well = power != NULL;
    while (well && !found && (well = BN_rand(p, bits, BN_RAND_TOP_TWO, BN_RAND_BOTTOM_ODD))) {
        sieve(p, composite);
        for (unsigned place = 0, at = 0; place < SIEVED && well && !found; place++) {
            if (composite[place])
                continue;
            well = BN_add_word(p, 2 * (place - at)) && BN_sub(less_one, p, BN_value_one())
                && BN_mod_exp_mont_word(power, 2, less_one, p, context, NULL);
            at = place;
            found = well && BN_is_one(power) && BN_num_bits(p) == bits && BN_mod_word(less_one, BN_get_word(e));
        }
    }
    BN_free(power);
    return found;
}

int RSA_generate_key_ex(RSA *rsa, int bits, BIGNUM *e, BN_GENCB *callback) {
    (void)callback;
    enum { N, E, D, P, Q, P1, Q1, PHI, DP, DQ, QINV, ALL };
    BIGNUM *of[ALL];
    for (int i = 0; i < ALL; i++)
        of[i] = BN_new();
    BN_CTX *context = BN_CTX_new();
    int made = prime(of[P], of[P1], bits / 2, e, context);
    do {
        made = made && prime(of[Q], of[Q1], bits - bits / 2, e, context);
    } while (made && !BN_cmp(of[P], of[Q]));
    if (BN_cmp(of[P], of[Q]) < 0) {
        BN_swap(of[P], of[Q]);
        BN_swap(of[P1], of[Q1]);
    }
    made = made && BN_mul(of[N], of[P], of[Q], context) && BN_copy(of[E], e) && BN_mul(of[PHI], of[P1], of[Q1], context)
        && BN_mod_inverse(of[D], e, of[PHI], context) && BN_mod(of[DP], of[D], of[P1], context)
        && BN_mod(of[DQ], of[D], of[Q1], context) && BN_mod_inverse(of[QINV], of[Q], of[P], context)
        && RSA_set0_key(rsa, of[N], of[E], of[D]) && RSA_set0_factors(rsa, of[P], of[Q])
        && RSA_set0_crt_params(rsa, of[DP], of[DQ], of[QINV]);
    BN_CTX_free(context);
    BN_clear_free(of[P1]);
    BN_clear_free(of[Q1]);
    BN_clear_free(of[PHI]);
    return made;
}

/* Kryoptic's way to say what the key of a context shall be, and to make it. */
static _Thread_local struct { const EVP_PKEY_CTX *of; size_t bits; BIGNUM *e; } asked;

int EVP_PKEY_CTX_set_params(EVP_PKEY_CTX *context, const OSSL_PARAM *params) {
    int (*real)(EVP_PKEY_CTX *, const OSSL_PARAM *) = dlsym(RTLD_NEXT, "EVP_PKEY_CTX_set_params");
    const OSSL_PARAM *bits = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_RSA_BITS);
    const OSSL_PARAM *e = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_RSA_E);
    asked.of = NULL;
    if (bits && e && EVP_PKEY_CTX_is_a(context, "RSA") && OSSL_PARAM_get_size_t(bits, &asked.bits) && OSSL_PARAM_get_BN(e, &asked.e))
        asked.of = context;
    return real(context, params);
}

int EVP_PKEY_generate(EVP_PKEY_CTX *context, EVP_PKEY **key) {
    int (*real)(EVP_PKEY_CTX *, EVP_PKEY **) = dlsym(RTLD_NEXT, "EVP_PKEY_generate");
    if (asked.of != context)
        return real(context, key);
    asked.of = NULL;
    RSA *rsa = RSA_new();
    *key = EVP_PKEY_new();
    return RSA_generate_key_ex(rsa, (int)asked.bits, asked.e, NULL) && EVP_PKEY_assign_RSA(*key, rsa);
}
