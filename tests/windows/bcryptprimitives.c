/* A stand-in for the DLL of Windows 10 of which Rust's standard library wants one function and which wine 8 has not.
   For the tests alone: nothing is shipped with it, and real Windows has its own. */
#include <windows.h>
#include <ntsecapi.h>

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T size)
{
    while (size > 0) {
        ULONG part = size > 0x1000000 ? 0x1000000 : (ULONG)size;
        if (!RtlGenRandom(data, part))
            return FALSE;
        data += part;
        size -= part;
    }
    return TRUE;
}
