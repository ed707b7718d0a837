-- The store as Prisma creates it: plain tables, quoted names, ids by cuid(), UTC in timestamp(3), jsonb.

CREATE TABLE "Scan" (
    "id" TEXT NOT NULL,
    "normalizedInput" TEXT NOT NULL,
    "status" TEXT NOT NULL DEFAULT 'queued',
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "finishedAt" TIMESTAMP(3),
    "meta" JSONB,

    CONSTRAINT "Scan_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "Evidence" (
    "id" TEXT NOT NULL,
    "scanId" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "severity" INTEGER NOT NULL DEFAULT 0,
    "title" TEXT NOT NULL,
    "details" JSONB NOT NULL,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "Evidence_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "Issue" (
    "id" TEXT NOT NULL,
    "scanId" TEXT NOT NULL,
    "title" TEXT NOT NULL,
    "severity" INTEGER NOT NULL DEFAULT 0,
    "references" JSONB NOT NULL DEFAULT '[]',
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "Issue_pkey" PRIMARY KEY ("id")
);

CREATE INDEX "Scan_createdAt_idx" ON "Scan"("createdAt");
CREATE INDEX "Evidence_scanId_idx" ON "Evidence"("scanId");
CREATE INDEX "Evidence_createdAt_idx" ON "Evidence"("createdAt");
CREATE INDEX "Issue_scanId_idx" ON "Issue"("scanId");
CREATE INDEX "Issue_createdAt_idx" ON "Issue"("createdAt");

ALTER TABLE "Evidence" ADD CONSTRAINT "Evidence_scanId_fkey"
    FOREIGN KEY ("scanId") REFERENCES "Scan"("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "Issue" ADD CONSTRAINT "Issue_scanId_fkey"
    FOREIGN KEY ("scanId") REFERENCES "Scan"("id") ON DELETE CASCADE ON UPDATE CASCADE;
