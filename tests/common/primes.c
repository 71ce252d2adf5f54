/* RSA keys for the tests' tokens in a quarter of the time; put before a program by LD_PRELOAD.
 *
 * OpenSSL 3.0 looks for primes as FIPS 186-4, B.3.6, has it, with a greatest common divisor in constant time for each candidate: half a second
 * for RSA-2048, of which a ceremony makes a dozen, and the tests hundreds of ceremonies. This takes SoftHSM's call and looks as OpenSSL 1.1 did,
 * with OpenSSL's own search for random primes. The token and all else is as it is; the rehearsals go without. */
#include <openssl/bn.h>
#include <openssl/rsa.h>

/* A prime of so many bits, the two highest set, and itself less one, which the exponent, a prime, does not divide. */
static int prime(BIGNUM *p, BIGNUM *less_one, int bits, const BIGNUM *e) {
    do {
        if (!BN_generate_prime_ex(p, bits, 0, NULL, NULL, NULL) || !BN_sub(less_one, p, BN_value_one()))
            return 0;
    } while (!BN_mod_word(less_one, BN_get_word(e)));
    return 1;
}

int RSA_generate_key_ex(RSA *rsa, int bits, BIGNUM *e, BN_GENCB *callback) {
    (void)callback;
    enum { N, E, D, P, Q, P1, Q1, PHI, DP, DQ, QINV, ALL };
    BIGNUM *of[ALL];
    for (int i = 0; i < ALL; i++)
        of[i] = BN_new();
    BN_CTX *context = BN_CTX_new();
    int made = prime(of[P], of[P1], bits / 2, e);
    do {
        made = made && prime(of[Q], of[Q1], bits - bits / 2, e);
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
