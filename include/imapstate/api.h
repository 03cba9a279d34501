/* api: what every public header stands between, and how the structures in them may grow.
 *
 * A structure is one of three kinds. If it is only declared (struct imapstate_state), it is opaque. If it is a row that
 * the library returns a pointer to (struct imapstate_command, struct imapstate_storable), it grows at its end: use it
 * where it is, and do not copy it or count on its size. All others have the size that they have for as long as the
 * soname stays. Those that may come to hold more have a member "reserved" for it, which is 0. Whoever fills in such a
 * structure sets all that it does not name to 0, as C does behind an initializer.
 *
 * Each header says what of it several threads may use at the same time. Nothing has to be initialised: whatever needs
 * libsodium calls sodium_init(), which any thread may do. The library has no other globals that change. */
#ifndef IMAPSTATE_API_H
#define IMAPSTATE_API_H

#if defined(__GNUC__)
#define IMAPSTATE_API                        __attribute__((visibility("default")))
#define IMAPSTATE_PRINTF(format_at, args_at) __attribute__((format(printf, format_at, args_at)))
#else
#define IMAPSTATE_API
#define IMAPSTATE_PRINTF(format_at, args_at)
#endif

#ifdef __cplusplus
#define IMAPSTATE_BEGIN extern "C" {
#define IMAPSTATE_END   }
#else
#define IMAPSTATE_BEGIN
#define IMAPSTATE_END
#endif

#endif
