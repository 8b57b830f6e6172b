POMONA_ISA=baseline pomona extract "$PICTURES" -o out.csv --backend cpu -q && grep -o "baseline kernels" out.csv.record.json
POMONA_ISA=sse9 pomona extract "$PICTURES" -o other.csv --backend cpu -q
POMONA_ISA=baseline pomona extract "$PICTURES" -o other.csv --backend cpu --precision bf16 -q
